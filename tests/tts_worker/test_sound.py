import warnings

import numpy as np
import pytest

from tts_worker.engine import FRAME, SAMPLE_RATE, Sound
from tts_worker.sound import Encoding, encode, faded, frame_samples, loud_windows, voiced_range


def tone(frequency: float, seconds: float, level: float = 0.5) -> Sound:
    return (level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype("f4")


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
def test_a_frame_is_80_ms_at_every_rate(rate: int) -> None:
    data = encode(np.zeros(5 * FRAME, np.float32), rate, Encoding.PCM_S16LE)
    assert len(data) == 5 * 2 * frame_samples(rate)
    assert frame_samples(rate) == rate * 8 // 100


@pytest.mark.parametrize("rate", [8000, 16000])
def test_resampling_keeps_speech_and_removes_what_would_alias(rate: int) -> None:
    low = np.frombuffer(encode(tone(1000, 0.8), rate, Encoding.PCM_S16LE), "<i2") / 32768
    high = np.frombuffer(encode(tone(11000, 0.8), rate, Encoding.PCM_S16LE), "<i2") / 32768
    middle = slice(rate // 10, -rate // 10)
    assert np.std(low[middle]) == pytest.approx(0.5 / np.sqrt(2), rel=0.01)
    assert np.std(high[middle]) < 0.001


@pytest.mark.parametrize(("encoding", "decode"), [(Encoding.MULAW, "ulaw2lin"), (Encoding.ALAW, "alaw2lin")])
def test_g711_codes_are_those_of_an_independent_decoder(encoding: Encoding, decode: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        audioop = pytest.importorskip("audioop", reason="left the standard library with Python 3.13")
    speech = (tone(440, 0.8, 0.9) * np.linspace(0, 1, 10 * FRAME)).astype(np.float32)
    pcm = np.frombuffer(encode(speech, 8000, Encoding.PCM_S16LE), "<i2").astype(float)
    back = np.frombuffer(getattr(audioop, decode)(encode(speech, 8000, encoding), 2), "<i2").astype(float)
    # A step of G.711 is a sixteenth of an octave, of the sample or (µ-law) the sample + 132; off by at most half.
    assert np.all(np.abs(back - pcm) <= np.maximum((np.abs(pcm) + 132) / 32, 16))
    assert set(encode(np.zeros(FRAME, np.float32), 8000, encoding)) == {0xFF if encoding is Encoding.MULAW else 0xD5}


def test_samples_beyond_full_scale_are_clipped_not_wrapped() -> None:
    data = np.frombuffer(encode(np.full(FRAME, 1.5, np.float32), 24000, Encoding.PCM_S16LE), "<i2")
    assert set(data) == {32767}


def test_silence_is_trimmed_to_20_ms_on_both_sides() -> None:
    silence = np.full(SAMPLE_RATE // 2, 1e-5, np.float32)
    begin, end = voiced_range(loud_windows(np.concatenate([silence, tone(300, 1.0), silence])))
    assert (begin, end) == (SAMPLE_RATE // 2 - 480, SAMPLE_RATE * 3 // 2 + 480)
    assert voiced_range(loud_windows(np.zeros(SAMPLE_RATE, np.float32))) == (0, 0)
    assert voiced_range(loud_windows(np.zeros(0, np.float32))) == (0, 0)


def test_fades_touch_only_the_ends() -> None:
    sound = np.full(SAMPLE_RATE, 0.5, np.float32)
    result = faded(sound)
    assert abs(result[0]) + abs(result[-1]) < 0.01
    assert np.abs(np.diff(result)).max() < 0.01
    assert np.array_equal(result[200:-200], sound[200:-200])
    assert len(faded(np.zeros(0, np.float32))) == 0
