"""Days, times and opening hours."""

import contextlib
from datetime import UTC, date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.definition import CalendarSettings
from agent.tools import hours

DESK = CalendarSettings.model_validate_json(
    """{"timezone": "Europe/London", "slot_minutes": 30, "closed_days": ["2026-03-04"], "horizon_days": 30,
    "open": {"monday": ["09:00-12:00", "13:15-14:40"], "wednesday": ["09:00-12:00"]}}"""
)
MONDAY, TUESDAY, CLOSED_WEDNESDAY = date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)
SUNDAY_NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "hour", "minute"),
    [
        ("14:30", 14, 30),
        ("9:05", 9, 5),
        ("14:30:00", 14, 30),
        ("2:30 pm", 14, 30),
        ("2:30 P.M.", 14, 30),
        ("2pm", 14, 0),
        ("12 am", 0, 0),
        ("12:15 pm", 12, 15),
        (" 00:00 ", 0, 0),
    ],
)
def test_times_as_models_write_them(text: str, hour: int, minute: int) -> None:
    assert hours.read_time(text) == time(hour, minute)


@pytest.mark.parametrize("text", ["", "14", "25:00", "9:60", "13 pm", "0 am", "half past nine", "9:5", "٩:٣٠x"])
def test_times_that_nobody_can_read(text: str) -> None:
    with pytest.raises(hours.Unclear, match="HH:MM"):
        hours.read_time(text)


@given(st.text(max_size=30))
def test_reading_fails_in_one_way_only(text: str) -> None:
    for read in (hours.read_time, hours.read_day):
        with contextlib.suppress(hours.Unclear):
            read(text)


@pytest.mark.parametrize("text", ["tomorrow", "2026-02-30", "03/04/2026", ""])
def test_days_that_nobody_can_read(text: str) -> None:
    with pytest.raises(hours.Unclear, match="YYYY-MM-DD"):
        hours.read_day(text)


def test_slots_fit_into_the_opening_times() -> None:
    texts = [at.strftime("%H:%M") for at in hours.slots_of(DESK, MONDAY)]
    assert texts == ["09:00", "09:30", "10:00", "10:30", "11:00", "11:30", "13:15", "13:45"]
    assert hours.slots_of(DESK, TUESDAY) == []
    assert hours.slots_of(DESK, CLOSED_WEDNESDAY) == []


@pytest.mark.parametrize(
    ("day", "at", "error"),
    [
        (MONDAY, time(9, 0), None),
        (MONDAY, time(13, 15), None),
        (MONDAY, time(9, 10), "invalid"),
        (MONDAY, time(12, 30), "closed"),
        (MONDAY, time(14, 15), "invalid"),  # open, but the appointment would end after closing
        (TUESDAY, time(9, 0), "closed"),
        (CLOSED_WEDNESDAY, time(9, 0), "closed"),
        (date(2026, 2, 23), time(9, 0), "past"),
        (date(2026, 4, 6), time(9, 0), "invalid"),  # too far ahead
    ],
)
def test_what_is_refused_and_why(day: date, at: time, error: str | None) -> None:
    found = hours.refusal(DESK, day, at, SUNDAY_NOON)
    assert (found[0] if found else None) == error


def test_past_is_decided_in_the_practices_time_zone() -> None:
    # 13:00 UTC in summer is 14:00 in London.
    summer = datetime(2026, 6, 1, 13, 0, tzinfo=UTC)
    day = date(2026, 6, 1)
    assert hours.refusal(DESK, day, time(13, 45), summer) == ("past", "that time has passed")
    assert hours.still_ahead(DESK, day, datetime(2026, 6, 1, 8, 0, tzinfo=UTC))[0] == time(9, 30)


def test_nearest_are_given_in_order() -> None:
    slots = hours.slots_of(DESK, MONDAY)
    assert hours.nearest(slots, time(10, 30), 3) == [time(10, 0), time(10, 30), time(11, 0)]
    assert hours.nearest([], time(10, 30), 3) == []


def test_a_day_may_stand_behind_its_weekday() -> None:
    day = hours.read_day("2026-11-24")
    assert hours.read_day("Tuesday 2026-11-24") == hours.read_day(" tuesday, 2026-11-24 ") == day
    with pytest.raises(hours.Unclear, match="2026-11-24 is a Tuesday"):
        hours.read_day("Monday 2026-11-24")
