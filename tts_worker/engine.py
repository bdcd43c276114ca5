"""The seam between a stream of speech and the model that speaks it.

A text is spoken in pieces of whole frames of 80 ms, at 24 kHz. An engine that renders a sentence at once gives a
piece of many frames, one that generates frame by frame gives pieces of one; who calls it need not know.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from services.errors import ServiceError

Sound = npt.NDArray[np.float32]

SAMPLE_RATE = 24_000
FRAME = 1_920
"""Samples of a frame at `SAMPLE_RATE`."""
FRAME_SECONDS = 0.08

S = TypeVar("S")


class EngineError(Exception):
    """The engine cannot be had: a file is missing or not what it should be. The text is for the operator."""


@dataclass(frozen=True)
class Voice:
    """One that an engine can speak with."""

    name: str
    languages: tuple[str, ...]
    """BCP 47."""
    description: str


@dataclass(frozen=True)
class Utterance:
    """What an engine needs to know to speak one phrase. The same values give the same sound."""

    text: str
    voice: str
    seed: int
    speed: float = 1.0
    guidance: float | None = None
    """For engines of the flow-matching kind; others ignore it."""
    piece: int = 0
    """Begin with this piece: the earlier ones were heard already."""
    state: bytes = b""
    """`Piece.state` of the piece to begin with."""
    language: str = ""
    """BCP 47, one of the voice's. Says how numbers and dates are read; empty: the voice's first."""
    reference: Sound | None = field(default=None, compare=False, repr=False)
    """Speak with the voice of this recording, and not with `voice`: [samples] at `SAMPLE_RATE`, -1 to 1, not to be
    written to. Only for engines that clone."""
    reference_key: str = ""
    """Differs between recordings, so that what is computed of one can be kept; empty without."""


@dataclass(frozen=True)
class Mark:
    """At `sample` of the piece, the text up to `code_point` of the phrase has been said.

    Between two marks speech goes on evenly; two marks at one sample are a jump.
    """

    sample: int
    code_point: int


@dataclass(frozen=True)
class Piece:
    """A stretch of speech of whole frames. Without `before` it begins and ends in silence, so that pieces join without
    a click; with it, it goes on where the piece before it ended."""

    samples: Sound
    """[frames * FRAME], -1 to 1."""
    marks: tuple[Mark, ...]
    """In order; the first is at sample 0. From the last one on nothing more is said."""
    last: bool
    """The phrase ends with this piece."""
    state: bytes = b""
    """What else `Engine.begin` needs to make this piece again; empty if its index is enough."""
    before: Sound | None = None
    """The last `sound.HISTORY` samples in front of this piece, zeros where there were none."""

    @property
    def frames(self) -> int:
        """Length in frames."""
        return len(self.samples) // FRAME


class Engine(Protocol[S]):
    """A model that speaks. Only the thread that owns it calls `load`, `begin`, `step` and `end`.

    `S` is the state of one phrase under way; the caller keeps it, until its last piece or until it calls `end`.
    """

    @property
    def model(self) -> str:
        """Name and version. Engines with the same name and the same input make the same sound."""
        ...

    @property
    def voices(self) -> tuple[Voice, ...]:
        """At least one."""
        ...

    @property
    def clones(self) -> bool:
        """Whether it can take a voice from a recording; known once `load` has returned."""
        ...

    @property
    def batch(self) -> int:
        """How many phrases one `step` may carry on."""
        ...

    def load(self) -> None:
        """Read the model into memory. Raises EngineError."""
        ...

    def begin(self, utterance: Utterance) -> S:
        """Prepare to speak, from `utterance.piece` on. Raises ServiceError."""
        ...

    def step(self, speeches: Sequence[S]) -> Sequence[Piece | ServiceError | None]:
        """Go on with each. Gives its next piece, None where that takes another step, or why it has come to its end
        for no fault of the others. No phrase may be stepped after its last piece."""
        ...

    def end(self, speech: S) -> None:
        """A phrase that nobody wants any more: free what it holds. Not called after a last piece or an error."""
        ...
