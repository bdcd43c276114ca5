"""Where the time of a step goes: each of its parts alone, with as many streams, in the middle of their phrases."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch

from tts_worker.bench.load import Crowd, Task
from tts_worker.lane import Download
from tts_worker.pieces import BOUNDARIES, Frames
from tts_worker.recorder import Recorder
from tts_worker.runner import Beginning, Made, Runner, sound_of
from tts_worker.streams import next_frames, next_states
from tts_worker.tuning import Shape
from tts_worker.voxtral import VoxtralEngine

_WARM_UP, _TIMES = 3, 9


@dataclass(frozen=True)
class Parts:
    """Seconds of a step, medians. On a GPU the host's part, and the codec's, go on beside the others."""

    heads: float
    backbone: float
    codec: float
    host: float


def measure(engine: VoxtralEngine, streams: int, task: Task) -> Parts:
    """With so many streams. The engine is of no use afterwards."""
    runner, _ = engine._running()
    reach = min(runner.length, runner.length * 3 // 4)
    shape = runner.tuning.shape(streams, reach, runner.length, guided=True)
    heads = _alone(runner, shape, lambda s: next_frames(runner.model, runner._streams, s))
    backbone = _alone(runner, shape, lambda s: next_states(runner.model, runner._streams, s))
    length = BOUNDARIES[-1] - BOUNDARIES[-2]
    due = -(-streams // length)
    frames = np.full((due, length, runner.model.config.audio.codebooks), 2, np.uint16)
    codec = _median(lambda: sound_of(runner.decode(range(due), frames))) * streams / (due * length)
    return Parts(heads, backbone, codec, _host(engine, streams, task))


def _alone(runner: Runner, shape: Shape, part: Callable[[Shape], None]) -> float:
    """A part as the step runs it: recorded where steps are."""
    recorder = Recorder(part)
    with runner._steps.work():
        if runner.tuning.recorded:
            recorder.record([shape])

        def run() -> None:
            recorder.run(shape)
            if runner._device.type == "cuda":
                torch.cuda.synchronize(runner._device)

        return _median(run)


def _median(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_WARM_UP + _TIMES):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return median(times[_WARM_UP:])


class _Idle(Runner):
    """Computes nothing: what is left is the host's work."""

    def __init__(self, like: Runner) -> None:
        self.model, self.slots, self.length, self.tuning = like.model, like.slots, like.length, like.tuning
        self._frame = torch.full((self.slots, self.model.config.audio.codebooks), 2)
        self._finite = torch.ones(self.slots, dtype=torch.bool)

    def begin(self, starts: "list[Beginning]") -> None:  # type: ignore[override]
        """Reads nothing."""

    def leave(self, slot: int) -> None:
        """Nothing is kept."""

    def step(self, active: "list[int]") -> Made:  # type: ignore[override]
        """The same frame for everybody."""
        return Made(tuple(active), Download((self._frame, self._finite), None))

    def decode(self, slots: object, frames: Frames) -> Download:  # type: ignore[override]
        """Silence."""
        return Download((torch.zeros(len(frames), frames.shape[1] * self.model.config.codec.frame),), None)


def _host(engine: VoxtralEngine, streams: int, task: Task) -> float:
    """Mean, since pieces come in some steps only."""
    runner, _ = engine._running()
    engine._runner = _Idle(runner)
    crowd = Crowd(engine, streams, task)
    _, steps = crowd.run(streams)
    return sum(steps) / len(steps)
