"""Whether a model does better than another on the same exercises, or could by chance. PURE."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.05
"""Probability of as clear a result by chance, below which it is taken for real."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of rewards, exercise by exercise."""

    before: float
    """Mean reward."""
    after: float
    wins: int
    """Exercises that went better afterwards."""
    losses: int
    of: int

    @property
    def chance(self) -> float:
        """Probability of so many wins or more among those that differ, if either way were as likely (sign test,
        one-sided)."""
        differing = self.wins + self.losses
        return sum(math.comb(differing, wins) for wins in range(self.wins, differing + 1)) / float(2**differing)

    @property
    def better(self) -> bool:
        """Beyond noise."""
        return self.after > self.before and self.chance < LEVEL

    def __str__(self) -> str:
        told = f"mean reward {self.before:.3f} before, {self.after:.3f} after; of {self.of} held-out exercises "
        told += f"{self.wins} went better, {self.losses} worse (by chance in {self.chance:.1%} of cases)"
        return f"{told}: {'better beyond noise' if self.better else 'not better beyond noise'}"


def compare(before: Sequence[float], after: Sequence[float]) -> Comparison:
    """Rewards of the same exercises in the same order."""
    pairs = list(zip(before, after, strict=True))
    count = max(1, len(pairs))
    return Comparison(
        sum(before) / count,
        sum(after) / count,
        sum(new > old for old, new in pairs),
        sum(new < old for old, new in pairs),
        len(pairs),
    )
