"""Speech over the agent: stop for it, or hear it out? PURE.

A caller who wants the floor should have silence within 0.4 s. One who says "mm-hm", or has a loud room behind, should
not stop the agent. Sound decides here; what was said decides later, while playout is paused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.listening.events import Window
from agent.listening.onset import LOOKS

_ROOM_ONLY = 6
"""Windows, 0.2 s: after so many the caller's speech is over, and what comes is a new one."""
_GOES_ON = (6, 3)
"""Windows."""


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
    approaching: float = 1.0
    """A window this little under what the caller's speech exceeds may be its beginning."""
    interruption: tuple[float, ...] = (0.7, 0.5)
    """Score from which a beginning is an interruption, at each of `onset.LOOKS`: the first look takes what is clear."""
    interruption_in_a_room: tuple[float, ...] = (0.95, 0.65)
    """The same with voices or noise behind the caller, which make a backchannel sound like more."""
    idle_line: float = -45.0
    """dBFS: where the caller must exceed more than that, there is somebody or something behind."""


class Overtalk:
    """The caller's speech while the agent speaks, from its SpeechStarted on."""

    def __init__(self, first: int, rate: int, room: float = -96.0, rules: BargeInRules | None = None) -> None:
        """`room`: dBFS that the caller's speech exceeds and the background's does not (`ambience.py`)."""
        self.first = first
        """Position of the caller's first voiced sample; later than was given where that was the room's."""
        self.scores: list[float] = []
        """How much the beginning sounds like an interruption, 0 to 1, at each look; the ear adds what is wanted."""
        self._rate = rate
        self._room = room
        self._rules = rules or BargeInRules()
        self._powers: list[float | None] = []  # of each window; None where it is not voiced
        self._near = False  # the caller has been heard in the last windows
        self._since_near = 0
        self._end = first

    def update(self, window: Window, voiced: bool) -> None:
        """Take the next window, from that of the first voiced sample on."""
        near = self._room - self._rules.approaching
        if voiced and window.level >= near:
            if not self._near:  # all there was before was the room
                part = next((n for n, level in enumerate(window.parts) if level >= near), 0)
                self.first = max(self.first, window.end - (4 - part) * (self._rate // 125))
                self.scores, self._powers, self._near = [], [], True
            self._since_near = 0
        else:
            self._since_near += 1
            self._near &= self._since_near < _ROOM_ONLY
        self._end = window.end
        self._powers.append(10 ** (window.level / 10) if voiced else None)

    @property
    def wants_look(self) -> int | None:
        """Which of `onset.LOOKS` is due, if any: enough has been heard for it, and the one before left doubt."""
        look = len(self.scores)
        due = self._near and look < len(LOOKS) and self._seconds >= LOOKS[look] and not self._clear
        return look if due else None

    def interrupts(self, floor: float, usual: float | None, crowd: bool = False) -> bool:
        """Whether playout should pause, given the noise floor and the caller's usual level, dBFS, and whether there are
        always voices behind the caller."""
        if not self._near:
            return False
        if self._clear and self._loud(self._powers, floor, usual, crowd):
            return True
        # The background may go on where the backchannel ended, or its own last sound fade: the last fifth of a second
        # must be the caller, and the end of it, too.
        return self._seconds >= self._rules.longest_backchannel and all(
            self._loud(self._powers[-windows:], floor, usual, crowd) for windows in _GOES_ON
        )

    @property
    def _clear(self) -> bool:
        """The beginning sounds like an interruption."""
        alone = self._room < self._rules.idle_line
        needed = self._rules.interruption if alone else self._rules.interruption_in_a_room
        return any(score >= least for score, least in zip(self.scores, needed, strict=False))

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
