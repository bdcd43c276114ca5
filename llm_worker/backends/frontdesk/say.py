"""How the front desk speaks: short sentences, days and times in words that a voice reads well."""

from collections.abc import Sequence
from datetime import date, time

from llm_worker.backends.frontdesk.practice import WEEKDAYS, Practice
from llm_worker.backends.frontdesk.words import MONTHS


def day(value: date) -> str:
    """2026-12-01 is "Tuesday, December 1st"."""
    ending = "th" if 10 < value.day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(value.day % 10, "th")
    return f"{WEEKDAYS[value.weekday()].capitalize()}, {MONTHS[value.month - 1].capitalize()} {value.day}{ending}"


def clock(value: time) -> str:
    """10:30 is "10:30 AM", 14:00 is "2 PM"."""
    minutes = f":{value.minute:02d}" if value.minute else ""
    return f"{(value.hour - 1) % 12 + 1}{minutes} {'AM' if value.hour < 12 else 'PM'}"


def when(on: date | None, at: time | None) -> str:
    """ "Tuesday, December 1st at 10:30 AM", or what is known of it."""
    return " at ".join(part for part in (day(on) if on else "", clock(at) if at else "") if part)


def choice(values: Sequence[str], word: str = "or") -> str:
    """ "a, b or c"."""
    *rest, last = values
    return f"{', '.join(rest)} {word} {last}" if rest else last


def some(slots: Sequence[time], most: int = 3) -> list[time]:
    """A few of the slots, spread over all of them: more than three are not remembered."""
    if len(slots) <= most:
        return list(slots)
    return [slots[index * (len(slots) - 1) // (most - 1)] for index in range(most)]


def slots(values: Sequence[time]) -> str:
    """ "9 AM, 10:30 AM or 2 PM"."""
    return choice([clock(value) for value in some(values)])


def hours(practice: Practice) -> str:
    """ "We're open Monday to Friday, from 8 AM to 5 PM."."""
    first, last = practice.open_days[0], practice.open_days[-1]
    days = f"{WEEKDAYS[first].capitalize()} to {WEEKDAYS[last].capitalize()}"
    return f"We're open {days}, from {clock(practice.opens)} to {clock(practice.closes)}."
