"""When appointments can be had, and how models write days and times. PURE; the same rules as the agent's calendar."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

Span = tuple[time, time]
"""From opening to closing."""


class Unclear(ValueError):
    """A day or time that cannot be read; the text is for the model."""


@dataclass(frozen=True, slots=True)
class Hours:
    """Opening times of a practice. All times are local."""

    open: Mapping[int, tuple[Span, ...]]
    """By weekday, 0 is Monday; a day that is missing is closed."""
    slot_minutes: int = 30
    closed_days: frozenset[date] = field(default_factory=frozenset)
    horizon_days: int = 180

    def slots(self, day: date) -> list[time]:
        """Every slot of the day that fits into the opening times, free or not. Empty: closed."""
        if day in self.closed_days:
            return []
        step = timedelta(minutes=self.slot_minutes)
        found = []
        for opens, closes in self.open.get(day.weekday(), ()):
            at = datetime.combine(day, opens)
            while at + step <= datetime.combine(day, closes):
                found.append(at.time())
                at += step
        return found

    def is_open(self, day: date, at: time) -> bool:
        """Whether `at` lies inside the opening times, on a slot or not."""
        spans = () if day in self.closed_days else self.open.get(day.weekday(), ())
        return any(opens <= at < closes for opens, closes in spans)

    def refusal(self, day: date, at: time, now: datetime) -> tuple[str, str] | None:
        """Why nobody can have an appointment then: (error, detail), or None."""
        if datetime.combine(day, at) <= now:
            return "past", "that time has passed"
        if (day - now.date()).days > self.horizon_days:
            return "invalid", f"appointments are made at most {self.horizon_days} days ahead"
        if not self.is_open(day, at):
            return "closed", "the practice is closed then" if self.slots(day) else "the practice is closed that day"
        if at not in self.slots(day):
            return "invalid", f"appointments begin every {self.slot_minutes} minutes; take one of the slots"
        return None

    def still_ahead(self, day: date, now: datetime) -> list[time]:
        """The slots of the day that `refusal` would not refuse."""
        return [at for at in self.slots(day) if self.refusal(day, at, now) is None]


def parse_open(table: Mapping[str, Sequence[str]]) -> dict[int, tuple[Span, ...]]:
    """`{"monday": ["08:00-12:30", "13:30-17:00"]}` by number of the weekday. Raises ValueError."""
    days: dict[int, tuple[Span, ...]] = {}
    for day, spans in table.items():
        if day not in WEEKDAYS:
            raise ValueError(f"open.{day}: not a day; valid are {', '.join(WEEKDAYS)}")
        ends = [span.split("-") for span in spans]
        days[WEEKDAYS.index(day)] = tuple((time.fromisoformat(a), time.fromisoformat(b)) for a, b in ends)
    return days


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
    unclear = Unclear(f"time {text!r}: write it as HH:MM")
    match = re.fullmatch(r"(\d{1,2})(?::(\d\d))?(?::00)?\s*([ap])?\.?m?\.?", text.strip().lower())
    if not match or not (match[2] or match[3]):
        raise unclear
    hour, minute = int(match[1]), int(match[2] or 0)
    if match[3]:
        if not 1 <= hour <= 12:
            raise unclear
        hour = hour % 12 + (12 if match[3] == "p" else 0)
    try:
        return time(hour, minute)
    except ValueError:
        raise unclear from None


def nearest(slots: Sequence[time], wanted: time, count: int) -> list[time]:
    """The `count` slots closest to `wanted`, in order of the clock."""

    def distance(at: time) -> int:
        return abs((at.hour - wanted.hour) * 60 + at.minute - wanted.minute)

    return sorted(sorted(slots, key=distance)[:count])
