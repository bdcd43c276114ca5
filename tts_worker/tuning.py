"""PURE: how steps are run on a device: in which shapes, how many prompts at once, how far ahead of what is known."""

from bisect import bisect_left
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """What a step computes: slots 0 … rows − 1, attention over the first `reach` positions of each."""

    rows: int
    reach: int
    guided: bool
    """Whether the unconditional half of the flow is computed: needless where every stream's guidance is 1. What is
    recorded always has it."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """A processor runs what is there. A GPU replays recorded steps, which exist in some shapes only."""

    rows: tuple[int, ...] = ()
    """Numbers of rows that a step may have, rising; empty: any."""
    reach: int = 64
    """Steps attend over a multiple of so many positions."""
    prompts: int = 1
    """Prompts that are read together, at most."""
    ahead: int = 0
    """Steps that are started before the result of an earlier one is looked at: then the device never waits for the
    host, and a stream's end is noticed so many frames later."""
    recorded: bool = False
    """Steps are recorded once for every shape, as CUDA graphs, and replayed."""
    compiled: bool = False
    """Layers go through torch.compile first, which takes minutes at the start."""

    def shape(self, rows: int, reach: int, length: int, guided: bool) -> Shape:
        """The smallest for so many rows that reach so far, in slots of `length` positions."""
        index = bisect_left(self.rows, rows)
        rows = self.rows[index] if index < len(self.rows) else rows
        return Shape(rows, min(length, -(-reach // self.reach) * self.reach), guided or self.recorded)

    def shapes(self, length: int) -> list[Shape]:
        """All that can be asked for, the largest first: they share memory, which the first one makes."""
        every = {self.shape(rows, reach, length, True) for rows in self.rows for reach in range(1, length + 1)}
        return sorted(every, reverse=True)


def tuned(device: str, slots: int, compiled: bool = False) -> Tuning:
    """For a kind of device, "cpu" or "cuda", and a number of slots."""
    if device == "cpu":
        return Tuning(compiled=compiled)
    rows = sorted({count for count in _counts(slots) if count < slots} | {slots})
    return Tuning(tuple(rows), reach=256, prompts=16, ahead=1, recorded=True, compiled=compiled)


def _counts(most: int) -> list[int]:
    """1, 2, 4, 8 and on in steps of a quarter of the power of two below: little is computed for nobody."""
    fine = [quarter << power for power in range(2, most.bit_length()) for quarter in (4, 5, 6, 7)]
    return [1, 2, 4, 8, *fine]
