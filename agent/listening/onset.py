"""Does the beginning of what the caller says over the agent sound like an interruption, or like "mm-hm"? PURE.

Its first fifth of a second, and where that leaves doubt a little more of it, as 12 bands in steps of 20 ms relative to
its own loudness, go through a small network with one hidden layer, one for each length.
`scripts/train_backchannel.py` made the weights and reports what they can and cannot tell.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from agent.audio import Samples

LOOKS = (0.22, 0.3)
"""Seconds of sound from the first voiced sample on: each look has a network of its own."""
RATE = 8000
BANDS = 12
_WINDOW, _HOP, _STEPS = 240, 80, 2  # 30 ms every 10 ms, two and two averaged
_DEPTH = 30.0  # dB under the loudest steps that are still looked at

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Onset:
    """The trained network of one look. Shapes: inputs (features,), hidden (features, hidden), output (hidden,)."""

    mean: Floats
    scale: Floats
    hidden: Floats
    hidden_bias: Floats
    output: Floats
    output_bias: float

    def score(self, samples: Samples, rate: int) -> float:
        """Probability that this sound, as long as the look, from the first voiced sample on begins an interruption."""
        inputs = (onset_features(samples, rate) - self.mean) / self.scale
        hidden = np.tanh(inputs @ self.hidden + self.hidden_bias)
        return float(1 / (1 + np.exp(-(hidden @ self.output + self.output_bias))))


def onset_features(samples: Samples, rate: int) -> Floats:
    """Band levels of a look's sound, dB under its loud steps, over _DEPTH: 0 (loud) to -1; step after step."""
    sound = samples.astype(np.float64)
    if rate != RATE:
        sound = sound[: len(sound) // 2 * 2].reshape(-1, 2).mean(axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(sound, _WINDOW)[::_HOP] * np.hanning(_WINDOW)
    power = np.square(np.abs(np.fft.rfft(windows, 256))) @ _bands()  # (10 ms steps, bands)
    steps = power[: len(power) // _STEPS * _STEPS].reshape(-1, _STEPS, BANDS).mean(axis=1)
    levels = 10 * np.log10(steps + 1.0)
    loud = float(np.sort(levels, axis=None)[-BANDS * 2 :].mean())
    features: Floats = np.clip((levels - loud) / _DEPTH, -1.0, 0.5).ravel()
    return features


@cache
def _bands() -> Floats:
    """Triangles (129 frequencies, BANDS), equally wide on the mel scale from 100 to 3800 Hz."""
    mel = np.linspace(np.log1p(100 / 700), np.log1p(3800 / 700), BANDS + 2)
    edges = 700 * np.expm1(mel)
    frequencies = np.linspace(0, RATE / 2, 129)[:, None]
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    triangles: Floats = np.maximum(np.minimum(rising, falling), 0.0)
    return triangles
