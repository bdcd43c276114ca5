"""Joins that can be heard, and others that cannot, in voices made of sines."""

import numpy as np
import pytest

from tts_worker.engine import SAMPLE_RATE, Sound
from tts_worker.seams import seam_at


def voice(pitch: float, seconds: float = 0.5, level: float = 0.2, phase: float = 0.0) -> Sound:
    """Harmonics of a pitch."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return sum(
        (level / n * np.sin(2 * np.pi * n * pitch * t + n * phase) for n in range(1, 6)), np.zeros_like(t)
    ).astype("f4")


def joined(*parts: Sound) -> tuple[Sound, int]:
    return np.concatenate(parts), len(parts[0])


def silence(seconds: float) -> Sound:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def test_speech_that_goes_on_has_no_seam() -> None:
    whole = voice(120, 1.0)
    seam = seam_at(whole, SAMPLE_RATE, len(whole) // 2)
    assert seam.gap == 0
    assert abs(seam.level_jump) < 1
    assert seam.pitch_jump == pytest.approx(0, abs=0.3)
    assert seam.click < 1.2
    assert seam.audible == []


@pytest.mark.parametrize(("after", "semitones"), [(240, 12.0), (160, 5.0), (80, -7.0)])
def test_a_jump_in_pitch(after: float, semitones: float) -> None:
    samples, place = joined(voice(120), voice(after))
    seam = seam_at(samples, SAMPLE_RATE, place)
    assert seam.pitch_jump == pytest.approx(semitones, abs=0.4)
    assert any("pitch" in words for words in seam.audible)


def test_a_jump_in_level() -> None:
    samples, place = joined(voice(120, level=0.05), voice(120, level=0.25))
    seam = seam_at(samples, SAMPLE_RATE, place)
    assert seam.level_jump == pytest.approx(14, abs=1)
    assert any("level of +14 dB" in words for words in seam.audible)


def test_a_click() -> None:
    samples = voice(120, 1.0)
    place = len(samples) // 2
    samples[place:] += 0.4
    seam = seam_at(samples, SAMPLE_RATE, place)
    assert seam.click > 3
    assert any("click" in words for words in seam.audible)


def test_a_gap_is_measured_across_the_join() -> None:
    samples = np.concatenate((voice(120), silence(0.3), silence(0.5), voice(120)))
    seam = seam_at(samples, SAMPLE_RATE, round(0.8 * SAMPLE_RATE))
    assert seam.gap == pytest.approx(0.8, abs=0.02)
    assert seam.level_jump == 0
    assert seam.pitch_jump is None
    assert any("gap of 0.8" in words for words in seam.audible)


def test_a_pause_between_phrases_is_no_fault() -> None:
    samples = np.concatenate((voice(120), silence(0.3), voice(150)))
    assert seam_at(samples, SAMPLE_RATE, round(0.7 * SAMPLE_RATE)).audible == []


@pytest.mark.parametrize("place", [0, 1, SAMPLE_RATE - 1, SAMPLE_RATE])
def test_at_the_edges_there_is_nothing_to_hear(place: int) -> None:
    seam_at(voice(120, 1.0), SAMPLE_RATE, place)
    seam_at(silence(1.0), SAMPLE_RATE, place)
