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
_HALF = _WINDOW // 2

Floats = npt.NDArray[np.float32]


def log_mel(sound: Floats) -> Floats:
    """Features (80, 800) of sound at 16 kHz, -1 to 1. Of more than 8 s the end counts; less is preceded by zeros."""
    bands = np.log10(np.maximum(_power(_prepared(sound)) @ mel_bands(), np.float32(1e-10))).T
    floored = np.maximum(bands, bands.max() - np.float32(8))
    features: Floats = (floored + np.float32(4)) * np.float32(0.25)
    return features


def _prepared(sound: Floats) -> Floats:
    """Eight seconds of zero mean and unit variance, half a window longer at both ends by reflection."""
    out = np.zeros(RATE * SECONDS + _WINDOW, dtype=np.float32)
    body = out[_HALF:-_HALF]
    tail = sound[-len(body) :]
    body[len(body) - len(tail) :] = tail
    mean = body.mean(dtype=np.float64)
    body -= np.float32(mean)
    body *= np.float32(1 / math.sqrt(float(np.dot(body, body)) / len(body) + 1e-7))
    out[:_HALF] = body[_HALF:0:-1]
    out[-_HALF:] = body[-2 : -_HALF - 2 : -1]
    return out


def _power(sound: Floats) -> Floats:
    """Power (800 windows, 201 frequencies) under a Hann window.

    Two products with matrices take a quarter of the time of numpy's transform, and leave the interpreter to the event
    loop meanwhile. The window is symmetric, so what lies as far before its middle as after it is added (or, for the
    sines, subtracted) first. Its first sample has weight zero.
    """
    windows = np.lib.stride_tricks.sliding_window_view(sound, _WINDOW)[::_HOP][:FRAMES]
    before, after = windows[:, 1 : _HALF + 1], windows[:, : _HALF - 1 : -1]  # 1 to 200, 399 to 200
    cosines, sines = _waves()
    power: Floats = np.square((before + after) @ cosines)
    power += np.square((before - after) @ sines)
    return power


@cache
def _waves() -> tuple[Floats, Floats]:
    """Cosines and sines (200 samples from the window's second to its middle, 201 frequencies), windowed."""
    sample, frequency = np.arange(1, _HALF + 1)[:, None], np.arange(_HALF + 1)
    window = np.hanning(_WINDOW + 1)[1 : _HALF + 1, None]
    window[-1] /= 2  # the middle is added to itself
    angle = 2 * np.pi * (sample * frequency % _WINDOW) / _WINDOW
    return (window * np.cos(angle)).astype(np.float32), (window * np.sin(angle)).astype(np.float32)


@cache
def mel_bands() -> Floats:
    """Weights (201 frequencies, 80 bands): overlapping triangles of equal area."""
    edges = _hertz(np.linspace(0, _mel(RATE / 2), BANDS + 2))
    frequencies = np.linspace(0, RATE / 2, _WINDOW // 2 + 1)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((frequencies - low) / (middle - low), (high - frequencies) / (high - middle))
    bands: Floats = (np.maximum(triangles, 0) * (2 / (high - low))).astype(np.float32)
    return bands


# The Slaney scale: 3 mel per 200 Hz up to 1000 Hz, from there 27 mel for every factor of 6.4.
_BREAK_HERTZ, _BREAK_MEL, _LOG_STEP = 1000.0, 15.0, math.log(6.4) / 27


def _mel(hertz: float) -> float:
    return _BREAK_MEL + math.log(hertz / _BREAK_HERTZ) / _LOG_STEP


def _hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(
        mel < _BREAK_MEL, mel * (200 / 3), _BREAK_HERTZ * np.exp(_LOG_STEP * (np.maximum(mel, 15) - _BREAK_MEL))
    )
