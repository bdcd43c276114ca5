"""Which appointments can exist: days, times, opening hours. PURE: `now` is an argument, no calendar is read."""

import re
from datetime import date, datetime, time, timedelta

from agent.definition import CalendarSettings, Weekday

WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Unclear(ValueError):
    """A day or time that cannot be read; the text is for the model."""


def read_day(text: str) -> date:
    """`2026-11-24` or `Tuesday 2026-11-24`. Raises Unclear, also where the two are not the same day."""
    weekday, _, written = text.strip().rpartition(" ")
    try:
        day = date.fromisoformat(written)
    except ValueError:
        raise Unclear(f"day {text!r}: write it as YYYY-MM-DD") from None
    if weekday and weekday.rstrip(",").lower() != f"{day:%A}".lower():
        raise Unclear(f"day {text!r}: {written} is a {day:%A}")
    return day


def read_time(text: str) -> time:
    """`14:30`, and what models write instead: `9:00`, `14:30:00`, `2:30 pm`, `2 pm`. Raises Unclear."""
    match = re.fullmatch(r"(\d{1,2})(?::(\d\d))?(?::00)?\s*([ap])?\.?m?\.?", text.strip().lower())
    if not match or not (match[2] or match[3]):
        raise Unclear(f"time {text!r}: write it as HH:MM")
    hour, minute = int(match[1]), int(match[2] or 0)
    if match[3]:
        if not 1 <= hour <= 12:
            raise Unclear(f"time {text!r}: write it as HH:MM")
        hour = hour % 12 + (12 if match[3] == "p" else 0)
    try:
        return time(hour, minute)
    except ValueError:
        raise Unclear(f"time {text!r}: write it as HH:MM") from None


def slots_of(settings: CalendarSettings, day: date) -> list[time]:
    """Every slot of the day that fits into the opening times, free or not. Empty: closed."""
    if day in settings.closed_days:
        return []
    step = timedelta(minutes=settings.slot_minutes)
    slots = []
    for opens, closes in settings.open.get(WEEKDAYS[day.weekday()], ()):
        at = datetime.combine(day, opens)
        while at + step <= datetime.combine(day, closes):
            slots.append(at.time())
            at += step
    return slots


def is_open(settings: CalendarSettings, day: date, at: time) -> bool:
    """Whether `at` lies inside the opening times, on a slot or not."""
    spans = () if day in settings.closed_days else settings.open.get(WEEKDAYS[day.weekday()], ())
    return any(opens <= at < closes for opens, closes in spans)


def refusal(settings: CalendarSettings, day: date, at: time, now: datetime) -> tuple[str, str] | None:
    """Why nobody can have an appointment then: (error, detail), or None. `now` is aware."""
    local = now.astimezone(settings.zone).replace(tzinfo=None)
    if datetime.combine(day, at) <= local:
        return "past", "that time has passed"
    if (day - local.date()).days > settings.horizon_days:
        return "invalid", f"appointments are made at most {settings.horizon_days} days ahead"
    if not is_open(settings, day, at):
        return "closed", "the practice is closed then" if slots_of(settings, day) else "the practice is closed that day"
    if at not in slots_of(settings, day):
        return "invalid", f"appointments begin every {settings.slot_minutes} minutes; take one of the slots"
    return None


def still_ahead(settings: CalendarSettings, day: date, now: datetime) -> list[time]:
    """The slots of the day that `refusal` would not refuse."""
    return [at for at in slots_of(settings, day) if refusal(settings, day, at, now) is None]


def nearest(slots: list[time], wanted: time, count: int) -> list[time]:
    """The `count` slots closest to `wanted`, in order of the clock."""

    def distance(at: time) -> int:
        return abs((at.hour - wanted.hour) * 60 + at.minute - wanted.minute)

    return sorted(sorted(slots, key=distance)[:count])
