"""Where in a call there is sound above the background: PURE, by energy, 20 ms at a time.

It decides what to decode and what to skip, not who has the floor: that is the agent's voice activity model.
"""

from collections import deque

import numpy as np

from stt_worker.sound import Pcm

QUIETEST_DBFS = -55.0
"""Below this nothing is sound: the idle noise of G.711 lies at -70, quiet callers at -46."""
LOUDEST_FLOOR_DBFS = -38.0
"""Above this everything is sound, however long it lasts."""
MARGIN_DB = 10.0
"""Sound is this much above the quietest 100 ms of the last two seconds."""
_BLOCK_FRAMES = 5
_MEMORY_BLOCKS = 20
_ASSUMED_FLOOR_DBFS = -65.0


class Activity:
    """Stretches with sound, as half-open ranges of samples since the call began."""

    def __init__(self, rate: int) -> None:
        self._frame = rate // 50
        self._carry: Pcm = np.zeros(0, np.int16)
        self._end = 0
        self._runs: list[tuple[int, int]] = []
        self._block: list[float] = []
        self._floors = deque([_ASSUMED_FLOOR_DBFS] * _MEMORY_BLOCKS, maxlen=_MEMORY_BLOCKS)

    def hear(self, first: int, samples: Pcm) -> None:
        """Samples from position `first`, never before the end of the last ones; between the two lies silence."""
        if first != self._end:
            self._carry = self._carry[:0]
        position = first - len(self._carry)
        heard = np.concatenate((self._carry, samples))
        whole = len(heard) // self._frame
        cut = whole * self._frame
        for level in _levels(heard[:cut].reshape(whole, self._frame)):
            if level > self._threshold():
                self._add(position, position + self._frame)
            self._learn(level)
            position += self._frame
        self._carry = heard[cut:]
        self._end = first + len(samples)

    def runs(self, first: int, end: int) -> list[tuple[int, int]]:
        """Stretches of sound within the range, cut to it."""
        return [(max(a, first), min(b, end)) for a, b in self._runs if a < end and b > first]

    def sound(self, first: int, end: int) -> int:
        """Samples with sound within the range."""
        return sum(b - a for a, b in self.runs(first, end))

    def forget(self, before: int) -> None:
        """Drop what lies wholly before this position."""
        self._runs = [run for run in self._runs if run[1] > before]

    def _threshold(self) -> float:
        return min(max(min(self._floors) + MARGIN_DB, QUIETEST_DBFS), LOUDEST_FLOOR_DBFS)

    def _learn(self, level: float) -> None:
        self._block.append(level)
        if len(self._block) == _BLOCK_FRAMES:
            self._floors.append(sum(self._block) / _BLOCK_FRAMES)
            self._block.clear()

    def _add(self, first: int, end: int) -> None:
        if self._runs and self._runs[-1][1] == first:
            self._runs[-1] = (self._runs[-1][0], end)
        else:
            self._runs.append((first, end))


def _levels(frames: Pcm) -> list[float]:
    """dB below full scale of each row; variance, so that an offset of the line is not sound. [frames, samples]"""
    power = np.var(frames, axis=1, dtype=np.float64) / 32768.0**2
    levels: list[float] = (10 * np.log10(power + 1e-10)).tolist()
    return levels
