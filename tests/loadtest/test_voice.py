"""The callers' voices."""

import numpy as np
import pytest

from agent.audio import level_dbfs
from loadtest.performance import RATE
from loadtest.scenario import Noise, Voice
from loadtest.voice import SPEECH_DBFS, Studio, voiced_range

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio()


def test_a_clip_is_speech_with_little_around_it(studio: Studio) -> None:
    clip = studio.clip("My name is Sarah Miller.", Voice())
    assert clip.first_voiced <= 0.03 * RATE
    assert len(clip.samples) - clip.last_voiced <= 0.03 * RATE
    assert abs(level_dbfs(clip.samples) - SPEECH_DBFS) < 4
    assert np.array_equal(clip.samples, studio.clip("My name is Sarah Miller.", Voice()).samples)


def test_pitch_changes_and_tempo_stays(studio: Studio) -> None:
    low, high = (studio.clip("How much does a check-up cost?", Voice(pitch=pitch)).samples for pitch in (0.85, 1.2))
    assert len(low) / len(high) < 1.25  # 1.41 without the correction
    assert 1.2 < _pitch(high) / _pitch(low) < 1.6


def _pitch(samples: np.ndarray) -> float:  # type: ignore[type-arg]
    """Hertz of the strongest repetition between 70 and 400 Hz."""
    signal = samples.astype(np.float64)
    repeats = np.fft.irfft(np.abs(np.fft.rfft(signal, 2 * len(signal))) ** 2)
    first, last = RATE // 400, RATE // 70
    return RATE / (first + int(np.argmax(repeats[first:last])))


def test_marked_pauses_are_silence_inside_the_sentence(studio: Studio) -> None:
    whole = studio.clip("I would like to come on Tuesday at nine.", Voice())
    broken = studio.clip("I would like to [0.6] come on Tuesday [0.3] at nine.", Voice())
    assert len(broken.samples) - len(whole.samples) == int(0.9 * RATE)
    assert broken.text == whole.text
    silent = np.flatnonzero(np.diff(np.flatnonzero(broken.samples), prepend=0) > 0.25 * RATE)
    assert len(silent) == 2


def test_noise_has_its_level(studio: Studio) -> None:
    for kind in ("pink", "babble"):
        background = studio.background(Noise(kind=kind, snr_db=15), 1)
        assert abs(level_dbfs(background) - (SPEECH_DBFS - 15)) < 0.5
    assert len(studio.background(None, 1)) == 0


def test_silence_counts_as_voiced_throughout() -> None:
    quiet = np.zeros(100, dtype=np.int16)
    assert (voiced_range(quiet).first, voiced_range(quiet).last) == (0, 100)
