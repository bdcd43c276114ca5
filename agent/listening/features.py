"""Whisper's log-mel spectrogram of the last eight seconds, as Smart Turn was trained on. PURE.

Definition: Radford et al. 2022 (80 mel bands of the Slaney scale, 25 ms Hann windows every 10 ms, 16 kHz), with the
zero-mean, unit-variance waveform of the transformers library's `WhisperFeatureExtractor(do_normalize=True)`.
"""

import math
from functools import cache

import numpy as np
import numpy.typing as npt

RATE = 16000
SECONDS = 8
BANDS, FRAMES = 80, 800
_WINDOW, _HOP = 400, 160

Floats = npt.NDArray[np.float32]


def log_mel(sound: Floats) -> Floats:
    """Features (80, 800) of sound at 16 kHz, -1 to 1. Of more than 8 s the end counts; less is preceded by zeros."""
    padded = np.zeros(RATE * SECONDS, dtype=np.float32)
    tail = sound[-len(padded) :]
    padded[len(padded) - len(tail) :] = tail
    scaled = (padded - padded.mean()) / np.sqrt(padded.var() + 1e-7)
    mirrored = np.pad(scaled.astype(np.float64), _WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(mirrored, _WINDOW)[::_HOP][:FRAMES]
    power = np.square(np.abs(np.fft.rfft(windows * np.hanning(_WINDOW + 1)[:-1])))  # (800, 201)
    bands = np.log10(np.maximum(power @ mel_bands(), 1e-10)).T
    floored = np.maximum(bands, bands.max() - 8)
    features: Floats = ((floored + 4) / 4).astype(np.float32)
    return features


@cache
def mel_bands() -> npt.NDArray[np.float64]:
    """Weights (201 frequencies, 80 bands): overlapping triangles of equal area."""
    edges = _hertz(np.linspace(0, _mel(RATE / 2), BANDS + 2))
    frequencies = np.linspace(0, RATE / 2, _WINDOW // 2 + 1)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((frequencies - low) / (middle - low), (high - frequencies) / (high - middle))
    bands: npt.NDArray[np.float64] = np.maximum(triangles, 0) * (2 / (high - low))
    return bands


# The Slaney scale: 3 mel per 200 Hz up to 1000 Hz, from there 27 mel for every factor of 6.4.
_BREAK_HERTZ, _BREAK_MEL, _LOG_STEP = 1000.0, 15.0, math.log(6.4) / 27


def _mel(hertz: float) -> float:
    return _BREAK_MEL + math.log(hertz / _BREAK_HERTZ) / _LOG_STEP


def _hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(
        mel < _BREAK_MEL, mel * (200 / 3), _BREAK_HERTZ * np.exp(_LOG_STEP * (np.maximum(mel, 15) - _BREAK_MEL))
    )
