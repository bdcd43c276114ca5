"""python -m tts_worker.bench: how fast the flow-matching engine speaks, with random weights or a model's own.

Streams begin together and speak a text of fixed length each: with random weights the end is masked and the number of
frames fixed, so that what is measured does not depend on what is said. Stops where streams fall behind real time.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch

from tts_worker.model.config import Config, ConfigError, shipped_config, shipped_names
from tts_worker.model.network import build, randomise
from tts_worker.model.prompt import text_ids, voice_ids
from tts_worker.model.tokenizer import Bytes
from tts_worker.pieces import piece_length
from tts_worker.runner import Beginning, Runner

CHARACTERS, SECONDS, VOICE_SECONDS = 500, 37.0, 10.0
"""The setting of the figures that the family's makers publish."""
_VOICE = "bench"
_WARM_UP = 3


@dataclass(frozen=True)
class Timing:
    """A stretch of speech by some streams at once. Seconds."""

    streams: int
    first_audio_p50: float
    first_audio_p95: float
    real_time_factor: float
    """Of the slowest moment that counts: seconds of work for a second of every stream's sound."""
    characters_per_second: float
    step: float
    heads: float
    backbone: float
    codec: float
    """Per frame and step, medians; `codec` is spread over the frames of a piece."""

    @property
    def keeps_up(self) -> bool:
        """Every stream hears its sound in time."""
        return self.real_time_factor < 1


class Bench:
    """One model in memory; `measure` may be called with growing numbers of streams."""

    def __init__(self, config: Config, most: int, frames: int, characters: int, device: str) -> None:
        self._config, self._frames, self._characters, self._device = config, frames, characters, device
        self._voice = round(VOICE_SECONDS / config.frame_seconds)
        self._ids = text_ids(_Plain(config.vocab_size), "a" * characters)
        length = self._voice + 3 + len(self._ids) + frames + 1
        dtype = torch.float32 if device == "cpu" else torch.bfloat16
        model = build(config, length, encoder=False, dtype=dtype, device=device)
        with torch.inference_mode():
            randomise(model, seed=0)
            model.heads.semantic.weight[1] = -10 * model.heads.semantic.weight[2].abs()  # END never wins
        model.decoder.fold()
        self._runner = Runner(model, most, length)
        rows = torch.randn(self._voice, config.dim).to(device, dtype)
        self._runner.add_voice(_VOICE, voice_ids(_Plain(config.vocab_size), self._voice), rows)

    def measure(self, streams: int) -> Timing:
        """Begin all streams at once, and let them speak."""
        began = self._clock()
        for slot in range(streams):
            self._runner.begin(Beginning(slot, _VOICE, self._ids, seed=slot))
        slots = list(range(streams))
        firsts, steps, codec = [], [], 0.0
        waiting: list[torch.Tensor] = []
        piece = 0
        for _ in range(self._frames):
            at = self._clock()
            frames, _ = self._runner.step(slots)
            waiting.append(frames)
            steps.append(self._clock() - at)
            if len(waiting) == piece_length(piece):
                at = self._clock()
                self._runner.decode(slots, torch.stack(waiting, dim=1))
                codec += self._clock() - at
                if not piece:
                    firsts = [self._clock() - began] * streams
                waiting, piece = [], piece + 1
        total = self._clock() - began
        sound = self._frames * self._config.frame_seconds
        heads, backbone = self._parts(streams)
        return Timing(
            streams=streams,
            first_audio_p50=median(firsts),
            first_audio_p95=sorted(firsts)[int(0.95 * (streams - 1))],
            real_time_factor=total / sound,
            characters_per_second=streams * self._characters / total,
            step=median(steps),
            heads=heads,
            backbone=backbone,
            codec=codec / self._frames,
        )

    @torch.inference_mode()
    def _parts(self, streams: int) -> tuple[float, float]:
        """Medians of the two halves of a step, each alone."""
        runner, model = self._runner, self._runner.model
        state = runner._state[:streams].clone()
        noise = torch.zeros(streams, model.heads.books, dtype=state.dtype, device=state.device)
        guidance = torch.full((streams,), 1.2, device=state.device)
        cache = runner._cache.rows(0, streams, runner.length)
        last = torch.full((streams, 1), runner.length - 1, device=state.device)
        return (
            self._median(lambda: model.heads.sample(state, noise, guidance)),
            self._median(lambda: model.backbone(state[:, None], last, cache)),
        )

    def _median(self, work: object) -> float:
        times = []
        for _ in range(_WARM_UP + 7):
            at = self._clock()
            work()  # type: ignore[operator]
            times.append(self._clock() - at)
        return median(times[_WARM_UP:])

    def _clock(self) -> float:
        if self._device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter()


class _Plain(Bytes):
    """Bytes, for any vocabulary that has so many tokens."""

    def __init__(self, size: int) -> None:
        if size < Bytes.size:
            raise ConfigError(f"vocab_size: {size}; the benchmark needs {Bytes.size}")


def concurrencies(most: int) -> Iterator[int]:
    """1, 2, 4, … and the most."""
    streams = 1
    while streams < most:
        yield streams
        streams *= 2
    yield most


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when at least one stream is spoken in real time."""
    given = _parse(arguments)
    torch.set_num_threads(given.threads)
    config = shipped_config(given.config)
    frames = round(given.seconds / config.frame_seconds)
    bench = Bench(config, given.streams, frames, round(CHARACTERS * given.seconds / SECONDS), given.device)
    bench.measure(1)  # warms up
    found = []
    sys.stdout.write("streams  first audio p50   p95     RTF   characters/s   step   heads  backbone  codec   (ms)\n")
    for streams in concurrencies(given.streams):
        timing = bench.measure(streams)
        found.append(timing)
        sys.stdout.write(_row(timing) + "\n")
        sys.stdout.flush()
        if not timing.keeps_up:
            break
    if given.output:
        result = {"config": given.config, "frames": frames, "machine": _machine(given), "timings": found}
        given.output.write_text(json.dumps(result, default=asdict, indent=1) + "\n", encoding="utf-8")
    return int(not found[0].keeps_up)


def _row(t: Timing) -> str:
    ms = [1000 * value for value in (t.first_audio_p50, t.first_audio_p95, t.step, t.heads, t.backbone, t.codec)]
    return (
        f"{t.streams:7}  {ms[0]:15.1f}  {ms[1]:6.1f}  {t.real_time_factor:6.3f}  {t.characters_per_second:13.0f}  "
        f"{ms[2]:5.1f}  {ms[3]:6.1f}  {ms[4]:8.1f}  {ms[5]:5.1f}"
    )


def _machine(given: argparse.Namespace) -> dict[str, object]:
    name = torch.cuda.get_device_name() if given.device != "cpu" else platform.processor() or platform.machine()
    return {"device": name, "threads": given.threads, "cores": os.cpu_count(), "torch": torch.__version__}


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tts_worker.bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--config", choices=shipped_names(), default="micro")
    parser.add_argument("--streams", type=int, default=4, help="the most at once (default 4)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of sound per stream (default {SECONDS:g})")
    parser.add_argument("--threads", type=int, default=1, help="of the processor (default 1)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
