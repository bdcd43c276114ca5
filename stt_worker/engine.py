"""What a recogniser is to the rest of the worker: one utterance in, its words out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from services.errors import NotFound

RATE = 16_000
"""Samples per second that every engine takes."""

Waveform = npt.NDArray[np.float32]
"""Mono, -1 to 1, at `RATE`."""


class ModelError(NotFound):
    """The model cannot be loaded; the text says why and what to do, in one line."""


@dataclass(frozen=True)
class Utterance:
    """One piece of speech, begun and ended near its first and last sound, and what is known about it."""

    samples: Waveform
    language: str = ""
    """BCP 47; empty: the engine's default."""
    hints: tuple[str, ...] = ()
    """Names and words that may occur."""
    words: bool = False
    """Whether times and confidences of words are wanted; they cost a tenth more."""


@dataclass(frozen=True)
class Word:
    """A word with its place in the utterance, in seconds from its first sample."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Decoding:
    """What was understood. `words` is empty unless the utterance asked for them."""

    text: str
    words: tuple[Word, ...] = ()
    no_speech: float = 0.0


NOTHING = Decoding("", (), 1.0)
"""There was no speech."""


class Engine(Protocol):
    """A recogniser. `decode` is called from several threads at once, as many as the worker has decoders."""

    @property
    def name(self) -> str:
        """Of the model, for logs and for the client."""

    def understands(self, language: str) -> bool:
        """Whether utterances in this language (BCP 47, "" is the default) can be decoded."""

    def decode(self, utterance: Utterance, give_up: Callable[[], bool]) -> Decoding | None:
        """Recognise. `give_up` is asked between the steps of the work; None means that it said yes."""
