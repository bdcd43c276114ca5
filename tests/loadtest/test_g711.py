"""G.711 tables against the standard's own values."""

import numpy as np

from loadtest.g711 import PCMA, PCMU, decode


def test_known_codes() -> None:
    mulaw = decode(bytes([0x00, 0x80, 0xFF, 0x7F, 0xF0]), PCMU)
    assert mulaw is not None
    assert mulaw.tolist() == [-32124, 32124, 0, 0, 120]
    alaw = decode(bytes([0x2A, 0xAA, 0xD5, 0x55]), PCMA)
    assert alaw is not None
    assert alaw.tolist() == [-32256, 32256, 8, -8]


def test_tables_are_symmetric_and_rise() -> None:
    for kind in (PCMU, PCMA):
        levels = decode(bytes(range(256)), kind)
        assert levels is not None
        assert sorted(levels) == sorted(-levels)
    assert len(np.unique(decode(bytes(range(256)), PCMA))) == 256  # type: ignore[arg-type]


def test_other_codecs_are_not_decoded() -> None:
    assert decode(b"\0", 9) is None
