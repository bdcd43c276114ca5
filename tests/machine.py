"""How much of the machine others use, from what the kernel counts: /proc, so on Linux only."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")
_IDLE = (3, 4)
"""Columns of /proc/stat in which nobody works: idle, and waiting for a disk."""


@dataclass(frozen=True)
class Moment:
    """What had been worked up to a moment. Seconds; of processors where it is work."""

    clock: float
    everybody: float
    ours: float
    processors: int

    @classmethod
    def now(cls) -> Self | None:
        """This one; None where the kernel does not tell."""
        try:
            lines = Path("/proc/stat").read_text().splitlines()
            ours = _with_children(os.getpid())
        except OSError:
            return None
        # The columns after the eighth are counted in the first two already.
        columns = [int(column) for column in lines[0].split()[1:9]]
        busy = sum(value for number, value in enumerate(columns) if number not in _IDLE) / _TICKS
        processors = sum(line.startswith("cpu") for line in lines) - 1
        return cls(time.monotonic(), busy, ours, processors)

    def others_since(self, before: Self) -> float:
        """Share of the machine, 0 to 1, that others than this process and its children have used since."""
        theirs = (self.everybody - before.everybody) - (self.ours - before.ours)
        return max(0.0, theirs) / (max(self.clock - before.clock, 0.01) * self.processors)


def _with_children(pid: int) -> float:
    """Processor seconds of a process and of all below it, living or waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        tasks = Path(f"/proc/{pid}/task").glob("*/children")  # a child belongs to the thread that made it
        children = [child for task in tasks for child in task.read_text().split()]
    except (FileNotFoundError, ProcessLookupError):  # it has just ended; its parent will count it
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS + sum(_with_children(int(child)) for child in children)
