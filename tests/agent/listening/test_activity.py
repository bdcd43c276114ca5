"""The state machine of voice activity on scripted windows."""

import numpy as np
import pytest

from agent.listening.activity import Activity
from agent.listening.events import SpeechStarted, SpeechStopped, Window

RATE, STEP, PART = 8000, 256, 64
VOICE, QUIET = (0.95, -22.0), (0.02, -70.0)


def play(
    activity: Activity, script: list[tuple[float, float]], start: int = 0, **how: bool
) -> list[tuple[int, object]]:
    """Feed windows of (probability, level); events with the index of the window that brought them."""
    events = []
    for n, (probability, level) in enumerate(script, start):
        window = Window((n + 1) * STEP, probability, level, (level,) * 4, how.get("echo", False))
        event = activity.update(window, careful=how.get("careful", False))
        if event is not None:
            events.append((n, event))
    return events


def test_two_sure_windows_start_and_four_quiet_ones_stop() -> None:
    events = play(Activity(RATE), [QUIET] * 20 + [VOICE] * 10 + [QUIET] * 10)
    assert events == [(21, SpeechStarted(20 * STEP)), (33, SpeechStopped(30 * STEP))]


def test_unsure_windows_need_a_third() -> None:
    events = play(Activity(RATE), [QUIET] * 20 + [(0.6, -22.0)] * 5)
    assert events == [(22, SpeechStarted(20 * STEP))]


def test_while_the_agent_speaks_a_third_is_needed_always() -> None:
    assert play(Activity(RATE), [QUIET] * 20 + [VOICE] * 5, careful=True) == [(22, SpeechStarted(20 * STEP))]


def test_echo_is_neither_speech_nor_silence() -> None:
    activity = Activity(RATE)
    assert play(activity, [VOICE] * 30, echo=True) == []
    assert activity.speech_level is None
    assert activity.floor == -60.0


def test_echo_ends_speech() -> None:
    activity = Activity(RATE)
    play(activity, [QUIET] * 10 + [VOICE] * 10)
    assert play(activity, [VOICE] * 5, start=20, echo=True) == [(23, SpeechStopped(20 * STEP))]


def test_a_click_starts_nothing() -> None:
    assert play(Activity(RATE), ([QUIET] * 6 + [VOICE]) * 10) == []


def test_a_start_goes_back_over_a_soft_beginning() -> None:
    """The model is late; the level is not."""
    script = [QUIET] * 20 + [(0.2, -35.0)] * 2 + [VOICE] * 5
    assert play(Activity(RATE), script)[0][1] == SpeechStarted(20 * STEP)


def test_the_end_is_found_inside_a_window() -> None:
    activity = Activity(RATE)
    play(activity, [QUIET] * 10 + [VOICE] * 10)
    activity.update(Window(21 * STEP, 0.9, -28.0, (-22.0, -22.0, -70.0, -70.0)))
    assert play(activity, [(0.8, -70.0)] * 5, start=21) == [(23, SpeechStopped(20 * STEP + 2 * PART))]


def test_noise_raises_the_floor_and_hides_what_is_softer() -> None:
    activity = Activity(RATE)
    assert play(activity, [(0.05, -40.0)] * 100 + [(0.9, -39.0)] * 20) == []
    assert activity.floor == pytest.approx(-40, abs=0.1)
    assert play(activity, [(0.9, -30.0)] * 5, start=120)[0][0] == 121


def test_a_crowd_is_told_from_the_caller() -> None:
    """Voices all the time: after a few seconds only who is clearly louder counts."""
    levels = np.random.default_rng(0).normal(-38, 3, 2000)
    crowd = [(0.9, float(level)) for level in levels]
    activity = Activity(RATE)
    play(activity, crowd[:400])
    assert activity.crowd
    assert not activity.speaking
    assert len(play(activity, crowd[400:1400], start=400)) <= 2  # half a minute
    spoken = play(activity, [VOICE] * 20 + crowd[1400:1410], start=1400)
    assert [type(event) for _, event in spoken] == [SpeechStarted, SpeechStopped]
    assert play(activity, [QUIET] * 260, start=1430) == []
    assert not activity.crowd
