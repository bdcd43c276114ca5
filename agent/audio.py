"""Sound inside the agent: mono signed 16 bit samples at the leg's rate, in frames of 20 ms."""

import math

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]

FRAME_SECONDS = 0.02


def frame_samples(rate: int) -> int:
    """Samples of one frame: 160 at 8000."""
    return rate // 50


def silence(samples: int) -> Samples:
    """That many zeros."""
    return np.zeros(samples, dtype=np.int16)


def level_dbfs(samples: Samples) -> float:
    """Root mean square in dB below a full-scale square wave; -96 for silence."""
    if not len(samples):
        return -96.0
    sound = samples.astype(np.float64)
    power = float(sound @ sound) / len(sound)
    return max(-96.0, 10 * math.log10(power / 32768.0**2 + 1e-12))
