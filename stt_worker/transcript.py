"""What goes into a decode and what comes out of it, in positions of the call: PURE values."""

from collections.abc import Sequence
from dataclasses import dataclass

from stt_worker.scheduler import Kind
from stt_worker.sound import Pcm


@dataclass(frozen=True)
class Ask:
    """A request for a transcript: of everything since the last final one, up to `through`."""

    request_id: int
    through: int
    final: bool


@dataclass(frozen=True)
class PlacedWord:
    """A word and the samples it was said in, half-open, counted since the call began."""

    text: str
    first: int
    end: int
    confidence: float


@dataclass(frozen=True)
class Understood:
    """The words of one piece of speech, or of several."""

    text: str
    words: tuple[PlacedWord, ...] = ()
    no_speech: float = 1.0


NOTHING = Understood("")
"""No speech."""


@dataclass(frozen=True)
class Piece:
    """Speech to decode: the samples from position `first` on, without the silence around it."""

    first: int
    samples: Pcm


@dataclass(frozen=True)
class Task:
    """One decode: the pieces of a turn that are not understood yet."""

    kind: Kind
    turn: int
    through: int
    before: tuple[Understood, ...]
    """The pieces that are."""
    pieces: tuple[Piece, ...]
    closed: int
    """Pieces of the turn that are complete with this decode: their sound is not needed again."""
    words: bool
    rate: int
    language: str
    hints: tuple[str, ...]


def joined(parts: Sequence[Understood]) -> Understood:
    """One text out of several."""
    return Understood(
        " ".join(part.text for part in parts if part.text),
        tuple(word for part in parts for word in part.words),
        min((part.no_speech for part in parts), default=1.0),
    )
