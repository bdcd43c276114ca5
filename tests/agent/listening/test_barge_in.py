"""Speech over the agent: what pauses it at once, what is heard out, what is only the room."""

import numpy as np
import pytest

from agent.listening.barge_in import Overtalk
from agent.listening.events import Window
from agent.listening.models import load_onsets
from agent.listening.onset import BANDS, LOOKS, RATE, onset_features

FLOOR, USUAL = -60.0, -22.0
STEP = 256


def window(n: int, level: float) -> Window:
    return Window(STEP * (n + 1), 0.9, level, (level,) * 4)


def decided(
    levels: list[float | None],
    score: float,
    usual: float | None = USUAL,
    second: float | None = None,
    room: float = -96.0,
) -> float | None:
    """Seconds from the first voiced sample until playout pauses; None for never. A level of None is no voice; `second`
    is what the second look finds, if not the same."""
    overtalk = Overtalk(0, RATE, room)
    for n, level in enumerate(levels):
        overtalk.update(window(n, -70.0 if level is None else level), voiced=level is not None)
        look = overtalk.wants_look
        if look is not None:
            overtalk.scores.append(score if look == 0 or second is None else second)
        if overtalk.interrupts(FLOOR, usual):
            return (n + 1) * STEP / RATE
    return None


def test_an_interruption_pauses_within_a_third_of_a_second() -> None:
    assert decided([-22.0] * 30, 0.9) == pytest.approx(0.224)


def test_a_second_look_takes_what_the_first_left_in_doubt() -> None:
    assert decided([-22.0] * 30, 0.6, second=0.6) == pytest.approx(0.32)
    assert decided([-22.0] * 14 + [None] * 10, 0.6, second=0.3) is None


def test_voices_no_louder_than_the_room_do_not() -> None:
    assert decided([-34.0] * 60, 0.9, usual=None, room=-31.0) is None
    assert decided([-25.0] * 30, 0.99, usual=None, room=-31.0) == pytest.approx(0.224)


def test_in_a_loud_room_the_sound_must_be_surer() -> None:
    assert decided([-22.0] * 14 + [None] * 10, 0.9, second=0.6) == pytest.approx(0.224)
    assert decided([-22.0] * 14 + [None] * 10, 0.9, second=0.6, room=-31.0) is None


def test_somebody_emerges_from_the_room() -> None:
    """Babble may have been speech for a while: the caller's begins where it stands out, and is looked at from there."""
    overtalk = Overtalk(0, RATE, room=-31.0)
    for n in range(20):
        overtalk.update(window(n, -36.0), voiced=True)
        assert overtalk.wants_look is None
    for n in range(20, 30):
        overtalk.update(window(n, -23.0), voiced=True)
        if overtalk.wants_look is not None:
            break
    assert overtalk.first == 20 * STEP
    assert n == 26
    overtalk.scores.append(0.99)
    assert overtalk.interrupts(FLOOR, None)


def test_a_backchannel_that_fades_is_over() -> None:
    assert decided([-23.0] * 17 + [-26.0, -33.0, -36.0, -38.0] + [None] * 5, 0.05) is None


def test_what_sounds_like_a_backchannel_and_ends_like_one_does_not() -> None:
    assert decided([-22.0] * 14 + [None] * 10, 0.05) is None


def test_what_sounds_like_a_backchannel_and_goes_on_does_after_all() -> None:
    late = decided([-22.0] * 40, 0.05)
    assert late is not None
    assert 0.6 < late < 0.75


def test_the_room_behind_the_caller_does_not() -> None:
    assert decided([-37.0] * 60, 0.9) is None


def test_the_room_does_not_prolong_a_backchannel() -> None:
    assert decided([-24.0] * 13 + [-37.0] * 60, 0.05) is None


def test_a_caller_of_unknown_level_needs_to_stand_out_from_the_line_only() -> None:
    assert decided([-45.0] * 30, 0.9, usual=None) == pytest.approx(0.224)
    assert decided([-55.0] * 60, 0.9, usual=None) is None


def test_a_cough_does_not() -> None:
    assert decided([-20.0, -20.0, None, None, None, None, None, None, None, None], 0.9) is None


def test_features_do_not_depend_on_how_loud_the_line_is() -> None:
    length = round(LOOKS[0] * RATE)
    sound = np.random.default_rng(0).standard_normal(length) * np.linspace(100, 3000, length)
    loud, quiet = ((sound * gain).astype(np.int16) for gain in (1.0, 0.3))
    np.testing.assert_allclose(onset_features(loud, RATE), onset_features(quiet, RATE), atol=0.03)


def test_features_at_16_khz_are_nearly_those_at_8() -> None:
    time = np.arange(4000) / 16000
    sound = 3000 * np.sin(2 * np.pi * 150 * time) * (1 + np.sin(2 * np.pi * 1200 * time)) * np.hanning(4000)
    wide, narrow = sound.astype(np.int16), sound[::2].astype(np.int16)
    assert np.mean(np.abs(onset_features(wide, 16000) - onset_features(narrow, 8000))) < 0.05


def test_the_weights_fit_the_features() -> None:
    onsets = load_onsets()
    assert len(onsets) == len(LOOKS)
    for onset, seconds in zip(onsets, LOOKS, strict=True):
        silence = np.zeros(round(seconds * RATE), dtype=np.int16)
        inputs = onset_features(silence, RATE)
        assert len(inputs) % BANDS == 0
        assert onset.mean.shape == onset.scale.shape == inputs.shape
        assert onset.hidden.shape == (len(inputs), len(onset.output))
        assert 0 <= onset.score(silence, RATE) <= 1
