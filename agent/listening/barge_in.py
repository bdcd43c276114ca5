"""Speech over the agent: stop for it, or hear it out? PURE.

A caller who wants the floor should have silence within 0.4 s. One who says "mm-hm", or has a loud room behind, should
not stop the agent. Sound decides here; what was said decides later, while playout is paused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.listening.events import Window
from agent.listening.onset import LOOKS

_ROOM_ONLY = 6
"""Windows, 0.2 s."""


@dataclass(frozen=True, slots=True)
class BargeInRules:
    """Times in seconds, levels in dB."""

    longest_backchannel: float = 0.66
    """What sounds like one and goes on for longer is none."""
    voiced_share: float = 0.6
    """Of the windows since the start: a cough or a slammed door is over sooner."""
    above_floor: float = 8.0
    below_caller: float = 10.0
    """Against the caller's usual level: somebody else in the room is quieter..."""
    below_caller_in_crowd: float = 7.0
    """...though a crowd not always by much."""
    approaching: float = 3.0
    """A window this little under what the caller's speech exceeds may be its beginning."""
    interruption: tuple[float, ...] = (0.8, 0.5)
    """Score from which a beginning is an interruption, at each of `onset.LOOKS`: the first look takes what is clear."""


class Overtalk:
    """The caller's speech while the agent speaks, from its SpeechStarted on."""

    def __init__(self, first: int, rate: int, room: float = -96.0, rules: BargeInRules | None = None) -> None:
        """`room`: dBFS that the caller's speech exceeds and the background's does not (`ambience.py`)."""
        self.first = first
        self.scores: list[float] = []
        """How much the beginning sounds like an interruption, 0 to 1, at each look; the ear adds what is wanted."""
        self._rate = rate
        self._room = room
        self._rules = rules or BargeInRules()
        self._powers: list[float | None] = []  # of each window; None where it is not voiced
        self._end = first

    def update(self, window: Window, voiced: bool) -> None:
        """Take a window after the first voiced sample."""
        self._end = window.end
        self._powers.append(10 ** (window.level / 10) if voiced else None)

    @property
    def emerges(self) -> bool:
        """So far there was only the room, and now there is somebody."""
        if len(self._powers) <= _ROOM_ONLY:
            return False
        *before, now = self._powers[-_ROOM_ONLY - 1 :]
        near = 10 ** ((self._room - self._rules.approaching) / 10)
        return now is not None and now >= near and all(power is None or power < near for power in before)

    @property
    def wants_look(self) -> int | None:
        """Which of `onset.LOOKS` is due, if any: enough has been heard for it, and the one before left doubt."""
        look = len(self.scores)
        due = look < len(LOOKS) and self._seconds >= LOOKS[look] and not self._clear
        return look if due else None

    def interrupts(self, floor: float, usual: float | None, crowd: bool = False) -> bool:
        """Whether playout should pause, given the noise floor and the caller's usual level, dBFS, and whether there are
        always voices behind the caller."""
        if self._clear and self._loud(self._powers, floor, usual, crowd):
            return True
        # The background may go on where the backchannel ended: the last fifth of a second must be the caller.
        return self._seconds >= self._rules.longest_backchannel and self._loud(self._powers[-6:], floor, usual, crowd)

    @property
    def _clear(self) -> bool:
        """The beginning sounds like an interruption."""
        return any(score >= needed for score, needed in zip(self.scores, self._rules.interruption, strict=False))

    @property
    def _seconds(self) -> float:
        return (self._end - self.first) / self._rate

    def _loud(self, powers: Sequence[float | None], floor: float, usual: float | None, crowd: bool) -> bool:
        voiced = [power for power in powers if power is not None]
        if len(voiced) < self._rules.voiced_share * len(powers):
            return False
        needed = max(floor + self._rules.above_floor, self._room)
        if usual is not None:
            below = self._rules.below_caller_in_crowd if crowd else self._rules.below_caller
            needed = max(needed, usual - below)
        return sum(voiced) / len(voiced) >= 10 ** (needed / 10)
