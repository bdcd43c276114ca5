"""Recordings that can lend a voice, and others."""

import numpy as np
import pytest

from services.errors import InvalidRequest
from tts_worker.clip import clip_of
from tts_worker.engine import SAMPLE_RATE


def noise(seconds: float, decibels: float) -> bytes:
    """Of that level against full scale."""
    samples = np.random.default_rng(1).standard_normal(round(seconds * SAMPLE_RATE)) * 10 ** (decibels / 20)
    return np.round(samples.clip(-1, 1) * 32767).astype("<i2").tobytes()


@pytest.mark.parametrize("seconds", [1.0, 3.5, 30.0])
def test_a_clip_is_float_and_cannot_be_written_to(seconds: float) -> None:
    data = noise(seconds, -20)
    clip = clip_of(data)
    assert clip.sound.dtype == np.float32
    assert np.array_equal(np.round(clip.sound * 32768).astype("<i2"), np.frombuffer(data, "<i2"))
    with pytest.raises(ValueError, match="read-only"):
        clip.sound[0] = 0


def test_the_key_is_of_all_bytes() -> None:
    data = noise(1, -20)
    assert clip_of(data).key == clip_of(bytes(data)).key
    changed = bytearray(data)
    changed[-1] ^= 1
    assert clip_of(bytes(changed)).key != clip_of(data).key
    assert len(clip_of(data).key) == 16


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "0 samples; valid: PCM_S16LE at 24000, mono, 1 to 30 s"),
        (noise(1, -20)[:-1], "47999 bytes are no whole samples; valid: PCM_S16LE"),
        (noise(1, -20)[:-2], "23999 samples; valid"),
        (noise(30, -20) + b"\0\0", "720001 samples; valid"),
        (bytes(2 * SAMPLE_RATE), "0.00 s of it are louder than -50 dBFS"),
        (noise(2, -60), "0.00 s of it are louder than -50 dBFS"),
        (noise(0.3, -20) + bytes(4 * SAMPLE_RATE), "valid: at least 0.5 s of speech"),
        (np.full(2 * SAMPLE_RATE, 9000, "<i2").tobytes(), "0.00 s of it are louder"),
    ],
)
def test_what_lends_no_voice(data: bytes, words: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        clip_of(data)
    assert refused.value.field == "open.reference_audio"
    assert words in str(refused.value)


def test_quiet_speech_with_pauses_is_enough() -> None:
    assert clip_of(noise(0.6, -40) + bytes(2 * SAMPLE_RATE)).key
