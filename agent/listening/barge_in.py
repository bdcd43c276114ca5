"""Speech over the agent: stop for it, or hear it out? PURE.

A caller who wants the floor should have silence within 0.4 s. One who says "mm-hm", or has a loud room behind, should
not stop the agent. Sound decides here; what was said decides later, while playout is paused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.listening.events import Window


@dataclass(frozen=True, slots=True)
class BargeInRules:
    """Times in seconds, levels in dB."""

    listen: float = 0.22
    """So much from the first voiced sample on is needed to tell a backchannel (`onset.py`)."""
    longest_backchannel: float = 0.66
    """What sounds like one and goes on for longer is none."""
    voiced_share: float = 0.6
    """Of the windows since the start: a cough or a slammed door is over sooner."""
    above_floor: float = 8.0
    below_caller: float = 10.0
    """Against the caller's usual level: somebody else in the room is quieter..."""
    below_caller_in_crowd: float = 7.0
    """...though a crowd not always by much."""
    interruption: float = 0.4
    """Score from which a beginning is an interruption."""


class Overtalk:
    """The caller's speech while the agent speaks, from its SpeechStarted on."""

    def __init__(self, first: int, rate: int, rules: BargeInRules | None = None) -> None:
        self.first = first
        self.score: float | None = None
        """How much the beginning sounds like an interruption, 0 to 1; set by the ear once `wants_score`."""
        self._rate = rate
        self._rules = rules or BargeInRules()
        self._powers: list[float | None] = []  # of each window; None where it is not voiced
        self._end = first

    def update(self, window: Window, voiced: bool) -> None:
        """Take a window after the first voiced sample."""
        self._end = window.end
        self._powers.append(10 ** (window.level / 10) if voiced else None)

    @property
    def wants_score(self) -> bool:
        """Enough has been heard to judge the beginning, and it has not been judged."""
        return self.score is None and self._seconds >= self._rules.listen

    def interrupts(self, floor: float, usual: float | None, crowd: bool = False) -> bool:
        """Whether playout should pause, given the noise floor and the caller's usual level, dBFS, and whether there are
        always voices behind the caller."""
        if self._seconds < self._rules.listen:
            return False
        if self.score is not None and self.score >= self._rules.interruption:
            return self._loud(self._powers, floor, usual, crowd)
        # The background may go on where the backchannel ended: the last fifth of a second must be the caller.
        return self._seconds >= self._rules.longest_backchannel and self._loud(self._powers[-6:], floor, usual, crowd)

    @property
    def _seconds(self) -> float:
        return (self._end - self.first) / self._rate

    def _loud(self, powers: Sequence[float | None], floor: float, usual: float | None, crowd: bool) -> bool:
        voiced = [power for power in powers if power is not None]
        if len(voiced) < self._rules.voiced_share * len(powers):
            return False
        needed = floor + self._rules.above_floor
        if usual is not None:
            below = self._rules.below_caller_in_crowd if crowd else self._rules.below_caller
            needed = max(needed, usual - below)
        return sum(voiced) / len(voiced) >= 10 ** (needed / 10)
