import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_worker.resume import ForeignBlob, Resume, fingerprint, unpack

U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
STATES = st.builds(Resume, st.booleans(), U64, U64, U32, U32, U32, U32, U32, U32, st.binary(max_size=80))
STATE = Resume(False, 2**64 - 1, 2**64 - 1, 5, 40, 1, 3, 7, 8)


@given(STATES)
def test_a_state_survives(state: Resume) -> None:
    assert unpack(state.pack()) == state


def test_it_is_small() -> None:
    assert len(STATE.pack()) == 48


@given(st.integers(0, 47), st.integers(1, 255))
def test_any_damaged_byte_is_noticed(position: int, change: int) -> None:
    blob = bytearray(STATE.pack())
    blob[position] ^= change
    with pytest.raises(ForeignBlob):
        unpack(bytes(blob))


@given(st.binary(max_size=100))
def test_foreign_bytes_are_refused(blob: bytes) -> None:
    with pytest.raises(ForeignBlob):
        unpack(blob)


def test_another_version_is_named() -> None:
    blob = bytearray(STATE.pack())
    blob[2] = 9
    with pytest.raises(ForeignBlob, match="version 9"):
        unpack(bytes(blob))


def test_fingerprints_tell_parts_apart() -> None:
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
