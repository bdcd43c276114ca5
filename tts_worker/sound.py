"""PURE: from an engine's samples to what goes over the wire; silences trimmed, borders without clicks."""

from enum import Enum

import numpy as np
import numpy.typing as npt
import soxr

from tts_worker.engine import FRAME_SECONDS, SAMPLE_RATE, Sound

RATES = (8_000, 16_000, 24_000)

_SILENCE_BELOW_LOUDEST = 36.0
"""dB under the loudest 10 ms: quieter than any sound of speech, louder than breath."""
WINDOW = SAMPLE_RATE // 100
_KEPT = SAMPLE_RATE // 50
"""20 ms on either side: the onset of a plosive or the end of a fricative lies under the threshold."""
_FADE = SAMPLE_RATE // 200
HISTORY = SAMPLE_RATE // 25
_LAG = SAMPLE_RATE // 100


class Encoding(Enum):
    """How samples travel."""

    PCM_S16LE = "PCM_S16LE"
    MULAW = "MULAW"
    ALAW = "ALAW"


def frame_samples(rate: int) -> int:
    """Samples of a frame at `rate`: 640 at 8000."""
    return round(rate * FRAME_SECONDS)


def loud_windows(samples: Sound) -> npt.NDArray[np.bool_]:
    """Whether each 10 ms hold speech, seen from the loudest of them."""
    windows = len(samples) // WINDOW
    power = np.square(samples[: windows * WINDOW].reshape(windows, WINDOW)).mean(axis=1)
    return np.asarray(power > max(1e-10, power.max(initial=0.0) * 10 ** (-_SILENCE_BELOW_LOUDEST / 10)), np.bool_)


def voiced_range(loud: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """First sample and end of what sounds, 20 ms of silence kept on both sides. (0, 0) if nothing does."""
    windows = np.flatnonzero(loud)
    if not len(windows):
        return 0, 0
    return max(0, int(windows[0]) * WINDOW - _KEPT), min(len(loud) * WINDOW, (int(windows[-1]) + 1) * WINDOW + _KEPT)


def faded(samples: Sound) -> Sound:
    """A copy that rises from zero and falls to zero within 5 ms."""
    return fade_in(fade_in(samples)[::-1])[::-1].copy()


def fade_in(samples: Sound) -> Sound:
    """A copy that rises from zero within 5 ms, or within its first half."""
    result = samples.copy()
    ramp = _rise(min(_FADE, len(samples) // 2))
    result[: len(ramp)] *= ramp
    return result


def fade_out(samples: Sound) -> Sound:
    """A copy of a phrase's last piece that falls to zero within 5 ms and is silent for the last 10: at other rates
    nothing of those is heard (see `encode`)."""
    result = np.zeros_like(samples)
    end = len(samples) - _LAG
    result[:end] = fade_in(samples[:end][::-1])[::-1]
    return result


def released(level: float, length: int) -> Sound:
    """[length] What follows a sound that broke off at `level`: a fall to zero within 5 ms, then silence."""
    return np.asarray(np.pad(level * _rise(_FADE)[::-1], (0, length - _FADE)), np.float32)


def _rise(length: int) -> Sound:
    """Half a wave of a cosine, from 0 to almost 1."""
    phase = np.arange(length, dtype=np.float32) / max(1, length)
    return np.asarray((1 - np.cos(np.pi * phase)) / 2, np.float32)


def encode(samples: Sound, rate: int, encoding: Encoding, before: Sound | None = None) -> bytes:
    """`samples` at 24 kHz, whole frames, as bytes at `rate`. The same input gives the same bytes.

    Without `before` they begin and end in silence. With it they go on from there: the last HISTORY samples of what came
    before (zeros at the beginning). Other rates then lag by 10 ms, since a resampler needs to see what follows.
    """
    if rate != SAMPLE_RATE:
        samples = _resampled(samples, rate, before)
    pcm = np.round(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2")
    match encoding:
        case Encoding.PCM_S16LE:
            return pcm.tobytes()
        case Encoding.MULAW:
            return _MULAW[pcm.astype(np.int32) + 32768].tobytes()
        case Encoding.ALAW:
            return _ALAW[pcm.astype(np.int32) + 32768].tobytes()


def _resampled(samples: Sound, rate: int, before: Sound | None) -> Sound:
    wanted = len(samples) * rate // SAMPLE_RATE
    first = 0
    if before is not None:
        samples = np.concatenate((before, samples))
        first = (len(before) - _LAG) * rate // SAMPLE_RATE
    result: Sound = soxr.resample(samples, SAMPLE_RATE, rate, quality="HQ")[first : first + wanted]
    return np.pad(result, (0, max(0, wanted - len(result))))


def _mulaw_table() -> npt.NDArray[np.uint8]:
    """ITU-T G.711 µ-law code of each 16 bit sample, from -32768 up."""
    value = np.arange(-32768, 32768)
    magnitude = np.minimum(np.abs(value), 32635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int64) - 7
    code = np.where(value < 0, 0x80, 0) | exponent << 4 | (magnitude >> (exponent + 3)) & 0xF
    return np.asarray(~code & 0xFF, np.uint8)


def _alaw_table() -> npt.NDArray[np.uint8]:
    """ITU-T G.711 A-law code of each 16 bit sample, from -32768 up."""
    value = np.arange(-32768, 32768)
    magnitude = np.where(value < 0, -value - 1, value) >> 3
    exponent = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int64) - 4, 0)
    code = exponent << 4 | (magnitude >> np.maximum(exponent, 1)) & 0xF
    return np.asarray(code ^ np.where(value < 0, 0x55, 0xD5), np.uint8)


_MULAW = _mulaw_table()
_ALAW = _alaw_table()
