"""What listening tells the rest of the agent. Positions are samples since the call connected, at the leg's rate."""

from dataclasses import dataclass
from typing import NamedTuple


class Window(NamedTuple):
    """One step of the voice activity model (32 ms)."""

    end: int
    """Position after the last sample of the window."""
    probability: float
    """Of speech, 0 to 1."""
    level: float
    """dBFS."""
    parts: tuple[float, float, float, float]
    """dBFS of each quarter (8 ms), oldest first."""
    echo: bool = False
    """It is the agent's own voice, come back."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller speaks. Sent once the start is sure enough; `first` lies before now. Echo of the agent's own voice
    is not reported."""

    first: int
    """Position of the first voiced sample."""


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The caller pauses, for at least the shortest pause (about 100 ms). Sent again, with a later `last`, when the end
    of the word turns out to come after a closure."""

    last: int
    """Position after the last voiced sample."""


@dataclass(frozen=True, slots=True)
class BargeIn:
    """While the agent spoke, the caller has been speaking long and clearly enough that playout should pause: it is
    neither echo of the agent, nor background, nor (as far as sound tells) a backchannel. Always between the
    SpeechStarted and the SpeechStopped of the same speech."""

    first: int
    """As in SpeechStarted, or later: voices in the room may have been taken for the caller's before."""


ListeningEvent = SpeechStarted | SpeechStopped | BargeIn
