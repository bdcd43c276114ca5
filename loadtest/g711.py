"""PURE: G.711 bytes → samples, by table (ITU-T G.711; payload types of RFC 3551)."""

import numpy as np
import numpy.typing as npt

from agent.audio import Samples

PCMU, PCMA = 0, 8


def _mulaw_table() -> npt.NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    magnitude = ((mantissa << 3) + 132 << exponent) - 132
    return np.where(code & 128, -magnitude, magnitude).astype(np.int16)


def _alaw_table() -> npt.NDArray[np.int16]:
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    magnitude = np.where(exponent, (mantissa << 4) + 264 << np.maximum(exponent - 1, 0), (mantissa << 4) + 8)
    return np.where(code & 128, magnitude, -magnitude).astype(np.int16)


_TABLES = {PCMU: _mulaw_table(), PCMA: _alaw_table()}


def decode(payload: bytes, payload_type: int) -> Samples | None:
    """Samples of an RTP payload; None where it is not G.711."""
    table = _TABLES.get(payload_type)
    return None if table is None else table[np.frombuffer(payload, dtype=np.uint8)]
