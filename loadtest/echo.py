"""PURE: a loudspeaker and a microphone in one room: what was heard, quieter and later, frame by frame."""

import numpy as np
import numpy.typing as npt

from agent.audio import Samples
from loadtest.scenario import Echo


class EchoPath:
    """Give it every frame that is heard; it returns what of the past comes back with it."""

    def __init__(self, echo: Echo, frame: int, rate: int) -> None:
        self._response = _response(echo, rate)
        self._delay = round(echo.delay * rate)
        self._frame = frame
        self._past = np.zeros(self._delay + len(self._response) - 1, dtype=np.float64)

    def of(self, heard: Samples) -> npt.NDArray[np.int32]:
        """What goes out with the frame that follows `heard`."""
        self._past = np.concatenate([self._past, heard])[-(self._delay + len(self._response) - 1 + self._frame) :]
        reached = self._past[: len(self._past) - self._delay]
        return np.round(np.convolve(reached, self._response, mode="valid")).astype(np.int32)


def _response(echo: Echo, rate: int) -> npt.NDArray[np.float64]:
    """Of the path, delay apart: one copy, and a tail of noise that falls by 60 dB in `room` seconds, 6 dB under it."""
    gain = 10 ** (echo.level_db / 20)
    tail = round(echo.room * rate)
    if not tail:
        return np.array([gain])
    noise = np.random.default_rng(1).standard_normal(tail) * 10 ** (-3 * np.arange(tail) / tail)
    response: npt.NDArray[np.float64] = np.concatenate([[1.0], noise * 0.5 / np.sqrt(np.sum(noise**2))])
    response *= gain / np.sqrt(np.sum(response**2))
    return response
