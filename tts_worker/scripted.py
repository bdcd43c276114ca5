"""An engine without a model: a syllable-like hum of 15 characters a second, the same for the same text and seed.

For measuring what the rest costs, and for tests of whoever talks to the worker.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.errors import InvalidRequest
from tts_worker.engine import FRAME, SAMPLE_RATE, Mark, Piece, Utterance, Voice
from tts_worker.sound import faded
from tts_worker.text import prepare, split

CHARACTERS_PER_SECOND = 15.0
_UNIT = 160
_PAUSE = SAMPLE_RATE // 10
_PITCH = 180.0
_SYLLABLES = 4.0


@dataclass
class ScriptedSpeech:
    """One phrase under way."""

    utterance: Utterance
    text: str
    origins: tuple[int, ...]
    units: list[tuple[int, int]]
    next: int


class ScriptedEngine:
    """See `tts_worker.engine.Engine`. Each piece takes `delay` seconds of the engine's thread."""

    def __init__(self, delay: float = 0.0) -> None:
        self._delay = delay

    @property
    def model(self) -> str:
        """Changes when the sound does."""
        return "scripted-1"

    @property
    def voices(self) -> tuple[Voice, ...]:
        """One, named like the packaged voice so that an agent needs no other definition."""
        return (Voice("heart", ("en-US",), "a hum of the length of speech"),)

    @property
    def clones(self) -> bool:
        """A hum has no voice."""
        return False

    @property
    def batch(self) -> int:
        """One at a time, like the real one."""
        return 1

    def load(self) -> None:
        """Nothing to load."""

    def begin(self, utterance: Utterance) -> ScriptedSpeech:
        """Cut the text. Raises InvalidRequest."""
        prepared = prepare(utterance.text)
        units = split(prepared.text, _UNIT)
        if utterance.piece >= len(units):
            raise InvalidRequest("open.resume", f"piece {utterance.piece}; the phrase has {len(units)}")
        return ScriptedSpeech(utterance, prepared.text, prepared.origins, units, utterance.piece)

    def step(self, speeches: Sequence[ScriptedSpeech]) -> list[Piece]:
        """Hum the next part of each."""
        time.sleep(self._delay)
        return [self._hum(speech) for speech in speeches]

    def end(self, speech: ScriptedSpeech) -> None:
        """It holds nothing."""

    @staticmethod
    def _hum(speech: ScriptedSpeech) -> Piece:
        index = speech.next
        speech.next += 1
        start, end = speech.units[index]
        said = any(c.isalnum() for c in speech.text[start:end])
        length = round((end - start) / CHARACTERS_PER_SECOND / speech.utterance.speed * SAMPLE_RATE) if said else 0
        time_axis = np.arange(length, dtype=np.float32) / SAMPLE_RATE
        noise = np.random.default_rng([speech.utterance.seed, index]).standard_normal(length, dtype=np.float32)
        envelope = 0.6 - 0.4 * np.cos(2 * np.pi * _SYLLABLES * time_axis)
        hum = np.sin(2 * np.pi * _PITCH * time_axis) + 0.5 * np.sin(6 * np.pi * _PITCH * time_axis) + 0.1 * noise
        frames = -(-(length + _PAUSE) // FRAME)
        samples = np.pad(faded((0.15 * envelope * hum).astype(np.float32)), (0, frames * FRAME - length))
        marks = (Mark(0, speech.origins[start]), Mark(length, speech.origins[end]))
        return Piece(samples, marks, last=speech.next == len(speech.units))
