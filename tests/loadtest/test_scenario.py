"""Scenario files: what they say, and what a mistake in one says."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from loadtest.scenario import (
    Appointment,
    ScenarioError,
    expected_appointment,
    filled,
    parse,
    spoken,
    working_day,
)
from loadtest.scenarios import load, names

SUNDAY = date(2026, 11, 22)
STEP = '[[step]]\nsay = "Hello."\n'


@pytest.mark.parametrize("name", names())
def test_packaged_scenarios_are_valid(name: str) -> None:
    scenario = load(name)
    assert scenario.title
    assert any(spoken(step) for step in scenario.steps)


def test_the_kinds_of_call_that_are_promised() -> None:
    assert {
        "booking",
        "question",
        "interruption",
        "hesitating",
        "silence",
        "noise",
        "backchannels",
        "speakerphone",
    } <= set(names())
    assert sum(spoken(step) is not None for step in load("booking").steps) >= 5


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("title =", "not TOML"),
        ('title = "x"\necho = { level_db = -20 }\n' + STEP, "echo.delay: "),
        ('title = "x"\necho = { level_db = 3, delay = 0.2 }\n' + STEP, "echo.level_db: "),
        ('title = "x"\n[[step]]\nhold = 0', "step 1: hold: "),
        ('title = "x"', "no [[step]]"),
        ('title = "x"\nstep = 3', "[[step]] table"),
        ('title = "x"\n[[step]]\nsay = "a"\npause = 1', "step 1: needs exactly one of"),
        ('title = "x"\n' + STEP + "[[step]]\nsing = 'la'", "step 2: needs exactly one of"),
        ('title = "x"\n[[step]]\npause = "long"', "step 1: pause:"),
        ('title = "x"\n[[step]]\nsay = "a"\nloud = true', "step 1: loud: no such key"),
        ('title = "x"\nvolume = 3\n' + STEP, "volume: no such key"),
        ('title = "x"\n[[step]]\nsay = "On {monday}."', "{monday}"),
        ('title = "x"\n' + STEP + '[expect]\nbooking = { name = "A", day = "d", time = "10:30" }', "'d' is no entry"),
        ('title = "x"\ndays = { d = 9 }\n' + STEP, "days.d:"),
        ('title = "x"\n[noise]\nkind = "rain"\nsnr_db = 3\n' + STEP, "noise.kind:"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(text: str, complaint: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(text, "call.toml")
    line = str(caught.value)
    assert line.startswith("call.toml")
    assert complaint in line
    assert "\n" not in line


def test_an_unknown_name_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="booking"):
        load("bookings")
    broken = tmp_path / "broken.toml"
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(ScenarioError, match="cannot be read"):
        load(str(broken))


def test_working_days_skip_the_weekend() -> None:
    assert working_day(SUNDAY, 1) == date(2026, 11, 23)
    assert working_day(date(2026, 11, 20), 1) == date(2026, 11, 23)
    assert working_day(date(2026, 11, 19), 2) == date(2026, 11, 23)


def test_a_weekday_name_means_one_day() -> None:
    for start in range(7):
        today = SUNDAY + timedelta(days=start)
        assert all(0 < (working_day(today, ahead) - today).days < 7 for ahead in range(1, 5))


def test_days_are_filled_in_and_expected() -> None:
    scenario = load("booking")
    first, corrected = (filled(spoken(scenario.steps[n]) or "", scenario, SUNDAY) for n in (2, 3))
    assert "Tuesday" in first
    assert "Wednesday" in corrected
    assert expected_appointment(scenario, SUNDAY) == Appointment("Sarah Miller", date(2026, 11, 25), "10:30")
    assert expected_appointment(load("question"), SUNDAY) is None
