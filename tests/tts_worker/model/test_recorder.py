"""Recorded steps, with a stand-in for the recording: a card is needed for the real one (`scripts.gpu.speech`)."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.tts_worker.model.support import model
from tests.tts_worker.model.test_runner import Start, Voices, speak
from tts_worker.recorder import Recorder
from tts_worker.tuning import Shape, Tuning


class Graph:
    """What was called between the beginning and the end of the recording is called again."""

    open: "Graph | None" = None
    replays = 0

    def __init__(self) -> None:
        self.shapes: list[Shape] = []
        self.recorder: Recorder | None = None

    def capture_begin(self, pool: object) -> None:
        Graph.open = self

    def capture_end(self) -> None:
        Graph.open = None

    def replay(self) -> None:
        assert self.recorder is not None
        Graph.replays += 1
        for shape in self.shapes:
            self.recorder._step(shape)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def seen(recorder: Recorder, step: object) -> None:
        def run(shape: Shape) -> None:
            if Graph.open is not None:
                Graph.open.shapes.append(shape)
                Graph.open.recorder = recorder
            step(shape)  # type: ignore[operator]

        recorder._step, recorder._graphs = run, {}

    monkeypatch.setattr(Recorder, "__init__", seen)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", object)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: SimpleNamespace(synchronize=lambda: None))
    monkeypatch.setattr(Graph, "replays", 0)


def test_every_step_is_a_replay_and_says_the_same() -> None:
    m = model()
    plain = Voices(m, slots=3)
    recorded = Voices(m, slots=3, tuning=Tuning((1, 2, 3), reach=48, recorded=True))
    assert set(recorded._recorder._graphs) == set(recorded.tuning.shapes(recorded.length))
    for slot, guidance in ((0, 1.2), (2, 1.0), (1, 1.4)):
        start = Start(slot, seed=slot, guidance=guidance)
        np.testing.assert_array_equal(speak(recorded, start, 20), speak(plain, start, 20))
    assert Graph.replays == 60


def test_what_was_not_recorded_is_run_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    ran: list[Shape] = []
    one, other = Shape(2, 48, True), Shape(4, 48, True)
    recorder = Recorder(ran.append)
    recorder.record([one])
    ran.clear()
    recorder.run(other)
    assert (ran, Graph.replays) == ([other], 0)
    recorder.run(one)
    assert (ran, Graph.replays) == ([other, one], 1)
