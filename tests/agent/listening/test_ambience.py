"""The room behind the caller, on scripted levels."""

import numpy as np
import pytest

from agent.listening.ambience import Ambience
from agent.listening.events import Window

STEP = 256


def hear(ambience: Ambience, levels: list[float], start: int = 0, echo: bool = False) -> int:
    """Feed windows; the position after the last."""
    for n, level in enumerate(levels, start):
        ambience.update(Window((n + 1) * STEP, 0.9, level, (level,) * 4, echo))
    return (start + len(levels)) * STEP


def babble(windows: int, level: float = -38.0) -> list[float]:
    return [float(x) for x in np.random.default_rng(0).normal(level, 3.0, windows)]


def test_an_unknown_room_is_exceeded_by_callers_of_ordinary_level() -> None:
    assert -30 <= Ambience().exceeded_from(0) <= -25


def test_babble_is_exceeded_by_who_is_well_above_it() -> None:
    ambience = Ambience()
    end = hear(ambience, babble(300))
    assert -38 + 5 < ambience.exceeded_from(end) < -38 + 10


def test_in_its_first_second_a_room_may_yet_turn_out_louder() -> None:
    ambience = Ambience()
    end = hear(ambience, [-46.0] * 30)
    assert ambience.exceeded_from(end) > -35
    end = hear(ambience, [-46.0] * 60, 30)
    assert ambience.exceeded_from(end) == pytest.approx(-41)


def test_an_idle_line_is_known_at_once() -> None:
    ambience = Ambience()
    end = hear(ambience, [-68.0] * 10)
    assert ambience.exceeded_from(end) < -60


def test_only_what_came_before_counts() -> None:
    ambience = Ambience()
    first = hear(ambience, [-68.0] * 100)
    hear(ambience, [-20.0] * 40, 100)
    assert ambience.exceeded_from(first) < -60


def test_the_caller_is_forgotten() -> None:
    ambience = Ambience()
    first = hear(ambience, [-68.0] * 100)
    end = hear(ambience, [-20.0] * 60, 100)
    assert ambience.exceeded_from(end) > -30
    ambience.forget_since(first)
    assert ambience.exceeded_from(end) < -60


def test_now_and_then_a_backchannel_changes_nothing() -> None:
    quiet, spoken = Ambience(), Ambience()
    level = quiet.exceeded_from(hear(quiet, [-60.0] * 250))
    end = hear(spoken, ([-60.0] * 100 + [-22.0] * 12) * 3)
    assert spoken.exceeded_from(end) == pytest.approx(level, abs=1)


def test_echo_is_not_the_room() -> None:
    ambience = Ambience()
    first = hear(ambience, [-68.0] * 20)
    assert ambience.exceeded_from(hear(ambience, [-30.0] * 100, 20, echo=True)) == ambience.exceeded_from(first)


def test_where_echo_hides_the_room_what_is_left_of_it_sets_no_bar() -> None:
    ambience = Ambience()
    end = hear(ambience, [-40.0] * 20, echo=True)
    assert ambience.exceeded_from(end) < -60
    end = hear(ambience, [-54.0] * 10 + [-49.0] * 20, 20)
    assert ambience.exceeded_from(end) == pytest.approx(-44)
