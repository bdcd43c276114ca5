"""Samples from the wire to what an engine takes: G.711 by table, any telephone rate to 16 kHz."""

import numpy as np
import numpy.typing as npt
import soxr

from stt_worker.engine import RATE, Waveform

Pcm = npt.NDArray[np.int16]


def _mulaw_table() -> Pcm:
    """ITU-T G.711, table 2a: value of each of the 256 µ-law bytes."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_table() -> Pcm:
    """ITU-T G.711, table 1a: value of each of the 256 A-law bytes."""
    code = np.arange(256, dtype=np.int32) ^ 0x55
    segment = (code & 0x70) >> 4
    mantissa = ((code & 0x0F) << 4) + 8
    magnitude = np.where(segment == 0, mantissa, (mantissa + 0x100) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


_MULAW = _mulaw_table()
_ALAW = _alaw_table()


def from_mulaw(data: bytes) -> Pcm:
    """One sample for each byte."""
    return _MULAW[np.frombuffer(data, dtype=np.uint8)]


def from_alaw(data: bytes) -> Pcm:
    """One sample for each byte."""
    return _ALAW[np.frombuffer(data, dtype=np.uint8)]


def from_pcm(data: bytes) -> Pcm:
    """Signed 16 bit, little endian. `data` has an even number of bytes."""
    return np.frombuffer(data, dtype="<i2").astype(np.int16, copy=False)


def to_waveform(samples: Pcm, rate: int) -> Waveform:
    """What an engine takes. A whole piece at once, so that it does not matter how the audio was cut into messages."""
    scaled = samples.astype(np.float32) / np.float32(32768)
    if rate == RATE or not len(scaled):
        return scaled
    resampled: Waveform = soxr.resample(scaled, rate, RATE)
    return resampled
