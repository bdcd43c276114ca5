import warnings

import numpy as np
import pytest

from tts_worker.engine import FRAME, SAMPLE_RATE, Sound
from tts_worker.seams import seam_at
from tts_worker.sound import (
    HISTORY,
    Encoding,
    encode,
    fade_in,
    fade_out,
    faded,
    frame_samples,
    loud_windows,
    released,
    voiced_range,
)


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


def played(pieces: list[Sound], rate: int) -> Sound:
    """A phrase in pieces, as a listener at `rate` hears it, with silence around."""
    before = np.zeros(HISTORY, np.float32)
    data = b""
    for piece in pieces:
        data += encode(piece, rate, Encoding.PCM_S16LE, before)
        before = np.concatenate((before, piece))[-HISTORY:]
    silence = np.zeros(rate // 5, np.float32)
    return np.concatenate((silence, np.frombuffer(data, "<i2").astype(np.float32) / 32768, silence))


def clicks(phrase: Sound, rate: int, *samples: int) -> list[bool]:
    """Whether there is one at those samples of the phrase, at 24 kHz. Other rates lag by 10 ms, up to the end."""
    places = [(sample + (rate != SAMPLE_RATE) * SAMPLE_RATE // 100) * rate // SAMPLE_RATE for sample in samples]
    end = len(phrase) - 2 * (rate // 5)
    return [seam_at(phrase, rate, rate // 5 + min(place, end)).click > 2 for place in places]


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
def test_a_phrase_that_is_cut_anywhere_begins_and_ends_without_a_click(rate: int) -> None:
    """Cosines begin and end near their crests: steps of almost half of full scale."""
    whole = np.roll(tone(150, 0.4), SAMPLE_RATE // 500).astype(np.float32)
    end = len(whole)
    one, two = whole[: 2 * FRAME], whole[2 * FRAME :]
    assert min(abs(whole[0]), abs(whole[-1])) > 0.4
    assert clicks(played([one, two], rate), rate, 0, end) == [True, True]
    assert clicks(played([fade_in(one), fade_out(two)], rate), rate, 0, end - 240, end) == [False, False, False]
    assert clicks(played([one, two, np.zeros(FRAME, np.float32)], rate), rate, end) == [True]
    assert clicks(played([one, two, released(float(two[-1]), FRAME)], rate), rate, end, end + FRAME) == [False, False]


def test_a_phrase_that_broke_off_settles() -> None:
    silence = released(0.5, FRAME)
    assert silence[0] == pytest.approx(0.5, abs=0.001)
    assert np.abs(np.diff(silence)).max() < 0.01
    assert not silence[120:].any()
