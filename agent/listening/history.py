"""The last seconds of a stream of samples, addressed by position."""

import numpy as np

from agent.audio import Samples


class History:
    """Keeps at least the last `keep` samples. Positions count from the first sample ever appended.

    Samples go into a buffer of twice that size, whose newer half moves to the front when it is full: appending a frame
    costs one small copy.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._buffer = np.zeros(2 * keep, dtype=np.int16)
        self._used = keep  # begins full of silence, so that positions before 0 read as zeros
        self.end = 0
        """Position after the newest sample."""

    def append(self, samples: Samples) -> None:
        """Add samples at the end. Of more than `keep` at once only the last are kept."""
        self.end += len(samples)
        samples = samples[-self._keep :]
        if self._used + len(samples) > len(self._buffer):
            self._buffer[: self._keep] = self._buffer[self._used - self._keep : self._used].copy()
            self._used = self._keep
        self._buffer[self._used : self._used + len(samples)] = samples
        self._used += len(samples)

    def between(self, first: int, last: int) -> Samples:
        """A view of positions first ≤ p < last; valid until the next `append`. Raises ValueError for what is gone or
        has not come yet."""
        start, stop = self._used - (self.end - first), self._used - (self.end - last)
        if not 0 <= start <= stop <= self._used:
            raise ValueError(f"samples {first} to {last} asked for; {self.end - self._used} to {self.end} are here")
        return self._buffer[start:stop]

    def tail(self, samples: int) -> Samples:
        """A copy of the newest samples, fewer if fewer have come, at most `keep`."""
        return self.between(self.end - min(samples, self.end, self._keep), self.end).copy()
