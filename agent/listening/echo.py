"""How much of what the caller's line brings is the agent's own voice, come back through a loudspeaker? PURE.

What was played is known. The echo is that, up to 0.6 s later, quieter, through a short filter (handset and room). So
the lag of best correlation is searched, a filter of a few milliseconds fitted there, and the share of the caller's
sound that it explains is the answer.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.audio import Samples

LONGEST_LAG = 0.6
"""Seconds from playing to hearing: 0.3 s of echo path, and buffers on both ways."""
STRETCH = 0.256
"""Seconds of the caller's sound that are looked at."""
_RATE = 8000  # 16 kHz is halved: the echo of a telephone has nothing above 4 kHz worth the time
_TAPS_BEFORE, _TAPS = 8, 56  # 1 ms before the peak, 6 ms after
_LOUDEST_ECHO = 0.2  # power against what was played: louder than -7 dB is a caller of the same voice, no echo
_QUIET = 32768 * 10 ** (-65 / 20)  # RMS under which there is nothing to come back

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Echo:
    """What a stretch looks like."""

    share: float
    """Of the caller's power that the agent's voice explains, 0 to 1."""
    lag: float
    """Seconds; meaningless where the share is small."""
    gain: float
    """Power over that of what was played."""


NO_ECHO = Echo(0.0, 0.0, 0.0)


def echo_of(caller: Samples, reference: Samples, rate: int) -> Echo:
    """Compare `caller` (STRETCH long) with `reference`, what was played in the LONGEST_LAG before and during it. Both
    end at the same position."""
    x, r = _prepared(caller, rate), _prepared(reference, rate)
    lags = len(r) - len(x)
    energy = float(x @ x)
    running = np.concatenate([[0.0], np.cumsum(np.square(r, dtype=np.float64))])
    played = running[len(x) :] - running[: lags + 1]  # of each stretch of the reference, oldest first
    floor = len(x) * _QUIET**2
    if energy <= 0 or played.max() < floor:
        return NO_ECHO
    correlation = _correlate(x, r, lags + 1)
    best = int(np.argmax(np.where(played >= floor, np.square(correlation) / np.maximum(played, floor), 0.0)))
    if played[best] < floor or energy > played[best] * _LOUDEST_ECHO:
        return NO_ECHO
    share = _explained(x, r, best, energy)
    return Echo(share, (lags - best) / _RATE, share * energy / float(played[best]))


def _prepared(samples: Samples, rate: int) -> Floats:
    """At 8 kHz, highs raised: else the low vowels, all alike, decide."""
    sound = samples.astype(np.float32)
    if rate != _RATE:
        sound = sound[: len(sound) // 2 * 2].reshape(-1, 2).mean(axis=1)
    raised: Floats = sound[1:] - np.float32(0.7) * sound[:-1]
    return raised


def _correlate(x: Floats, r: Floats, count: int) -> Floats:
    """`x` against each stretch of `r`: element i is Σ x[n] r[n + i]."""
    size = 1 << (len(r) - 1).bit_length()
    product = np.fft.rfft(r, size) * np.conj(np.fft.rfft(x, size))
    return np.fft.irfft(product, size)[:count].astype(np.float32)


def _explained(x: Floats, r: Floats, best: int, energy: float) -> float:
    """Share of `x` that a least-squares filter on the reference around stretch `best` explains.

    Tap k reads the stretch that begins at best + _TAPS_BEFORE - k: earlier reference, later echo.
    """
    starts = best + _TAPS_BEFORE - np.arange(_TAPS)
    starts = starts[(starts >= 0) & (starts <= len(r) - len(x))]
    delayed = np.lib.stride_tricks.sliding_window_view(r, len(x))[starts]  # (taps, samples)
    moments = delayed @ delayed.T
    moments[np.diag_indices_from(moments)] *= 1.001
    with_caller = delayed @ x
    return float(np.clip(with_caller @ np.linalg.solve(moments, with_caller) / energy, 0.0, 1.0))


class EchoJudge:
    """Decides from one stretch after the other, and remembers where echo was found and how loud.

    The path of a call keeps its lag and its loss, while the lag at which two different voices happen to agree is
    another each time. Once the path is known, a level that the path explains is echo without a correlation.
    """

    _SURE, _KNOWN, _LEARN = 0.35, 0.15, 0.45
    _SAME_LAG = 0.003
    _ABOUT = 0.016  # until the lag is known, it may be a period of the voice off
    _TRUSTED, _FORGET = 2.0, 30.0
    _SOON = 0.3
    _LOUDER = 4.0  # 6 dB: the caller is louder than the echo
    _BLOCK = 0.032
    _RINGS = 0.06

    def __init__(self) -> None:
        self._lag: float | None = None
        self._found: float | None = None  # the lag of the last find
        self._gain = 0.0  # power of the echo over that of what was played
        self._seen = 0.0
        self._suspect = (-1.0, 0.0)  # lag, and when it was found

    def is_echo(self, caller: Samples, reference: Samples, rate: int, now: float) -> bool:
        """Whether the end of `caller` is the agent's voice and little else; both as in `echo_of`, ending at `now`
        (seconds, growing)."""
        if self._lag is not None and now - self._seen > self._FORGET:
            self._lag = None
        explained = self._lag is not None and self._explains(caller, reference, rate, self._lag)
        if explained and now - self._seen < self._TRUSTED:
            return True
        echo = echo_of(caller, reference, rate)
        known = self._lag is not None and abs(echo.lag - self._lag) <= self._SAME_LAG
        if echo.share >= self._LEARN:
            self._learn(echo, known, now)
        return explained or (echo.share >= self._KNOWN if known else self._found_twice(echo, now))

    def _found_twice(self, echo: Echo, now: float) -> bool:
        """One find at a lag that is not known may be chance: one hum is like another. Two at about the same are not."""
        if echo.share < self._SURE:
            return False
        suspected, at = self._suspect
        self._suspect = (echo.lag, now)
        return abs(echo.lag - suspected) <= self._ABOUT and now - at <= self._SOON

    def _learn(self, echo: Echo, known: bool, now: float) -> None:
        """A new lag is believed when two finds in a row agree: one may be chance."""
        if known:
            self._gain, self._seen = 0.7 * self._gain + 0.3 * echo.gain, now
        elif self._found is not None and abs(echo.lag - self._found) <= self._SAME_LAG:
            self._lag, self._gain, self._seen = echo.lag, echo.gain, now
        self._found = echo.lag

    def _explains(self, caller: Samples, reference: Samples, rate: int, lag: float) -> bool:
        """Whether what was played a lag ago, a little before included for the room to ring, is loud enough."""
        block = round(self._BLOCK * rate)
        end = len(reference) - round(lag * rate)
        played = reference[max(0, end - block - round(self._RINGS * rate)) : end].astype(np.float64)
        blocks = played[len(played) % (block // 2) :].reshape(-1, block // 2)
        heard = float(np.mean(np.square(caller[-block:], dtype=np.float64)))
        return heard <= self._LOUDER * self._gain * float(np.square(blocks).mean(axis=1).max(initial=0.0))
