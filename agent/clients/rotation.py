"""Which of several workers to use next. PURE: the time is an argument."""

from collections.abc import Sequence
from dataclasses import dataclass

SHUN_SECONDS = 2.0
"""How long a worker that failed is used only if there is no other."""
REST_SECONDS = 0.25
"""How long it is not even tried: a worker that is started again is found soon, one that is gone is not hammered."""
LONGEST_REST_SECONDS = 10.0


@dataclass(slots=True)
class _Health:
    shunned_until: float = 0.0
    resting_until: float = 0.0


class Rotation:
    """Takes turns among the healthy; without one, the least recently failed that may be tried again."""

    def __init__(self, targets: Sequence[str]) -> None:
        if not targets:
            raise ValueError("no targets given")
        self._health = {target: _Health() for target in targets}
        self._turns = 0

    def choose(self, now: float) -> str | float:
        """A target, or how many seconds from now to ask again."""
        order = self._in_turn()
        for target in order:
            if self.healthy(target, now):
                self._turns += 1
                return target
        rested = [target for target in order if self._health[target].resting_until <= now]
        if rested:
            return min(rested, key=lambda target: self._health[target].shunned_until)
        return min(health.resting_until for health in self._health.values()) - now

    def healthy(self, target: str, now: float) -> bool:
        """Nothing speaks against using it."""
        health = self._health[target]
        return max(health.shunned_until, health.resting_until) <= now

    def failed(self, target: str, now: float) -> None:
        """It could not be reached, or broke a stream off."""
        self._health[target] = _Health(now + SHUN_SECONDS, now + REST_SECONDS)

    def leaving(self, target: str, now: float, seconds: float) -> None:
        """It drains: use it only if there is no other, until whatever replaces it can be there."""
        self._health[target].shunned_until = now + seconds

    def busy(self, target: str, now: float, retry_after: float) -> None:
        """It is full and said when to come again."""
        until = now + min(max(retry_after, REST_SECONDS), LONGEST_REST_SECONDS)
        self._health[target] = _Health(until, until)

    def worked(self, target: str) -> None:
        """It opened a stream."""
        self._health[target] = _Health()

    def _in_turn(self) -> list[str]:
        targets = list(self._health)
        start = self._turns % len(targets)
        return targets[start:] + targets[:start]
