"""The sound of one call that may still be needed, by position: PURE. Gaps are silence and take no memory."""

from collections import deque

import numpy as np

from stt_worker.sound import Pcm


class Timeline:
    """Chunks in order. Positions are samples since the call began."""

    def __init__(self) -> None:
        self._chunks: deque[tuple[int, Pcm]] = deque()
        self.end = 0
        """Position after the last sample."""
        self.held = 0
        """Samples in memory."""

    def append(self, first: int, samples: Pcm) -> None:
        """Add samples. Raises ValueError if they begin before the end."""
        if first < self.end:
            raise ValueError(f"{first} lies before {self.end}, the end of the audio so far")
        self._chunks.append((first, samples))
        self.held += len(samples)
        self.end = first + len(samples)

    def read(self, first: int, end: int) -> Pcm:
        """A copy of the range; what was never sent is zero."""
        out = np.zeros(max(0, end - first), np.int16)
        for position, samples in self._chunks:
            a, b = max(first, position), min(end, position + len(samples))
            if a < b:
                out[a - first : b - first] = samples[a - position : b - position]
        return out

    def forget(self, before: int) -> None:
        """Drop the chunks that lie wholly before this position."""
        while self._chunks and self._chunks[0][0] + len(self._chunks[0][1]) <= before:
            self.held -= len(self._chunks.popleft()[1])
