"""Puts received sound on the clock: conceals what is missing, trims what is late, goes on without any. Pure.

The SIP stack leaves lost packets out, so without this a loss would shorten the recording and shift every position.
"""

from typing import NamedTuple

import numpy as np

from agent.audio import Samples, frame_samples, level_dbfs, silence

TOLERANCE = 0.030
"""Seconds that sound may lag behind the clock before it counts as missing: one packet and the jitter of two threads."""
FADE_FRAMES = 3
"""A gap repeats the last frame, fading to silence over this many frames."""
AHEAD_TRIM = 0.030
"""Seconds ahead of the clock from which quiet frames are left out, until sound is on time again."""
AHEAD_LIMIT = 0.100
"""Seconds ahead of the clock beyond which sound is left out, quiet or not."""
QUIET_DBFS = -50.0
BURST_FRAMES = 25
"""Frames that one tick hands on at most (0.5 s). After a longer stall the oldest are skipped: their time is lost."""


class Placed(NamedTuple):
    """Sound of one tick, whole frames; may be none."""

    samples: Samples
    first: int
    """Position of the first sample. A jump against the end of the last one is time that was skipped."""


class Intake:
    """Places the sound of one call. `start` is when the call connected, position 0."""

    def __init__(self, rate: int, start: float) -> None:
        self._rate = rate
        self._start = start
        self._frame = frame_samples(rate)
        self._pending: Samples = silence(0)
        self._last = silence(self._frame)
        self._gap = FADE_FRAMES
        self.position = 0
        """Samples handed on, that is the position of the next one."""
        self.concealed = 0
        """Samples made up for missing ones, silence included."""
        self.trimmed = 0
        """Samples left out because they came too late."""
        self.skipped = 0
        """Samples lost to stalls of this process."""

    def place(self, samples: Samples, now: float) -> Placed:
        """Whole frames due at `now`, given what arrived since the last call."""
        if self._pending.size:
            samples = np.concatenate((self._pending, samples))
        due = int((now - self._start) * self._rate) - self.position
        lag = due - samples.size
        if lag < -AHEAD_TRIM * self._rate:
            samples = self._trim(samples, -lag)
        whole = samples.size - samples.size % self._frame
        if whole:
            self._last, self._gap = samples[whole - self._frame : whole], 0
        if lag > TOLERANCE * self._rate:
            return self._emit(self._fill(samples, lag))
        self._pending = samples[whole:]
        return self._emit(samples[:whole])

    def _emit(self, samples: Samples) -> Placed:
        excess = samples.size - BURST_FRAMES * self._frame
        if excess > 0:
            self.skipped += excess
            self.position += excess
            samples = samples[excess:]
        first = self.position
        self.position += samples.size
        return Placed(samples, first)

    def _fill(self, samples: Samples, lag: int) -> Samples:
        """`samples` and then made-up sound, so that less than a frame and a half is missing."""
        rest = -samples.size % self._frame
        frames = max(1 if rest else 0, -(-(lag - rest - self._frame) // self._frame))
        made = np.concatenate([self._conceal() for _ in range(min(frames, FADE_FRAMES))] or [silence(0)])
        wanted = rest + frames * self._frame
        made = np.concatenate((made, silence(wanted - made.size))) if made.size < wanted else made[:wanted]
        self.concealed += wanted
        self._pending = silence(0)
        return np.concatenate((samples, made))

    def _conceal(self) -> Samples:
        if self._gap >= FADE_FRAMES:
            return silence(self._frame)
        gain = np.linspace(1 - self._gap / FADE_FRAMES, 1 - (self._gap + 1) / FADE_FRAMES, self._frame)
        self._gap += 1
        return (self._last * gain).astype(np.int16)

    def _trim(self, samples: Samples, ahead: int) -> Samples:
        """Leave out what is too far ahead; prefer quiet frames."""
        excess = ahead - int(AHEAD_LIMIT * self._rate)
        if excess > 0:
            cut = min(samples.size, ahead - self._frame)
        elif samples.size >= self._frame and level_dbfs(samples[: self._frame]) < QUIET_DBFS:
            cut = self._frame
        else:
            return samples
        self.trimmed += cut
        return samples[cut:]
