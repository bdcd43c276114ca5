"""The facts of the practice, read from a data file."""

import tomllib
from dataclasses import dataclass
from datetime import date, datetime, time
from importlib import resources
from typing import Any

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that is done here. `price` in dollars; `words` are what callers say for it."""

    name: str
    price: int
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Practice:
    """What the front desk knows."""

    name: str
    address: str
    directions: str
    emergency_number: str
    doctors: tuple[str, ...]
    open_days: tuple[int, ...]
    """0 is Monday."""
    opens: time
    closes: time
    slot_minutes: int
    services: tuple[Offer, ...]

    def problem(self, day: date | None, at: time | None, now: datetime) -> str:
        """Why there can be no appointment then: closed, hours, grid, past; empty when there can. None: not known."""
        if day is not None:
            if day < now.date() or (day == now.date() and at is not None and at <= now.time()):
                return "past"
            if day.weekday() not in self.open_days:
                return "closed"
        if at is not None:
            if not self.opens <= at < self.closes:
                return "hours"
            if (at.hour * 60 + at.minute) % self.slot_minutes:
                return "grid"
        return ""


def load() -> Practice:
    """The practice of the packaged file."""
    text = resources.files("llm_worker.backends").joinpath("practice.toml").read_text(encoding="utf-8")
    return parse(tomllib.loads(text))


def parse(facts: dict[str, Any]) -> Practice:
    """The practice that a parsed file describes. Raises KeyError, ValueError."""
    opening = facts["opening"]
    return Practice(
        name=facts["name"],
        address=facts["address"],
        directions=facts["directions"],
        emergency_number=facts["emergency_number"],
        doctors=tuple(facts["doctors"]),
        open_days=tuple(WEEKDAYS.index(day) for day in opening["days"]),
        opens=time.fromisoformat(opening["opens"]),
        closes=time.fromisoformat(opening["closes"]),
        slot_minutes=opening["slot_minutes"],
        services=tuple(Offer(one["name"], one["price"], tuple(one["words"])) for one in facts["services"]),
    )
