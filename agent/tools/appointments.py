"""What a front desk does with its book: free slots, booking, moving, cancelling, messages. Blocking; no transactions
here: `Calendar` opens one around each call."""

import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from agent.definition import CalendarSettings
from agent.tools import hours, names

Content = dict[str, Any]
"""The result of a tool; with `error` when nothing was done."""

OFFERED = 6
"""Slots in one answer: more than anybody remembers on the telephone."""


@dataclass(frozen=True, slots=True)
class Appointment:
    """One line of the book."""

    appointment_id: int
    name: str
    day: str
    """YYYY-MM-DD."""
    time: str
    """HH:MM."""


class Appointments:
    """The book. Arguments are as models write them; hours.Unclear says which one cannot be read."""

    def __init__(self, connection: sqlite3.Connection, settings: CalendarSettings, now: datetime) -> None:
        self._sql = connection
        self._settings = settings
        self._now = now

    def find_slots(self, day: str, after: str | None = None) -> Content:
        """Up to six free slots of the day, from `after` on. Without any: `reason` closed, full or past."""
        on = hours.read_day(day)
        first = hours.read_time(after) if after else time.min
        free = [at for at in self._free(on) if at >= first]
        content: Content = {"day": on.isoformat(), "weekday": f"{on:%A}", "slots": _texts(free[:OFFERED])}
        if not free:
            content["reason"] = self._why_none(on)
        return content

    def book_appointment(self, name: str, day: str, time: str, reason: str = "") -> Content:
        """The appointment, or `error` slot_taken, closed, past, invalid with the nearest free `slots`. Who has the slot
        already gets the same appointment again: a model that lost its worker may ask twice, under two keys."""
        on, at = hours.read_day(day), hours.read_time(time)
        if not names.plain(name):
            return {"error": "invalid", "detail": "name: whose appointment is it?", "slots": []}
        if problem := self._refusal(on, at):
            return self._held(name, on, at) or problem
        values = (name.strip(), on.isoformat(), _text(at), reason, self._stamp())
        cursor = self._sql.execute(
            "INSERT INTO appointments (name, day, time, reason, created) VALUES (?, ?, ?, ?, ?)", values
        )
        return _told(Appointment(int(cursor.lastrowid or 0), name.strip(), on.isoformat(), _text(at)))

    def move_appointment(
        self, name: str, new_day: str, new_time: str, day: str | None = None, time: str | None = None
    ) -> Content:
        """The appointment at its new time, or `error` not_found, ambiguous, or one of book_appointment's."""
        on, at = hours.read_day(new_day), hours.read_time(new_time)
        found = self._find(name, day, time)
        if not isinstance(found, Appointment):
            return found
        same = (found.day, found.time) == (on.isoformat(), _text(at))
        if not same and (problem := self._refusal(on, at)):
            return problem
        self._sql.execute(
            "UPDATE appointments SET day = ?, time = ? WHERE id = ?", (on.isoformat(), _text(at), found.appointment_id)
        )
        return _told(Appointment(found.appointment_id, found.name, on.isoformat(), _text(at)))

    def cancel_appointment(self, name: str, day: str | None = None, time: str | None = None) -> Content:
        """The appointment that is no more, with `cancelled`, or `error` not_found, ambiguous."""
        found = self._find(name, day, time)
        if not isinstance(found, Appointment):
            return found
        self._sql.execute("UPDATE appointments SET cancelled = ? WHERE id = ?", (self._stamp(), found.appointment_id))
        return _told(found) | {"cancelled": True}

    def take_message(self, name: str, text: str, number: str = "") -> Content:
        """Keep a message for the people of the practice."""
        cursor = self._sql.execute(
            "INSERT INTO messages (name, text, number, created) VALUES (?, ?, ?, ?)",
            (name, text, number, self._stamp()),
        )
        return {"message_id": cursor.lastrowid, "name": name}

    def _stamp(self) -> str:
        return self._now.isoformat(timespec="seconds")

    def _free(self, day: date) -> list[time]:
        rows = self._sql.execute(
            "SELECT time FROM appointments WHERE day = ? AND cancelled IS NULL", (day.isoformat(),)
        )
        taken = {row[0] for row in rows}
        return [at for at in hours.still_ahead(self._settings, day, self._now) if _text(at) not in taken]

    def _why_none(self, day: date) -> str:
        if not hours.slots_of(self._settings, day):
            return "closed"
        return "full" if hours.still_ahead(self._settings, day, self._now) else "past"

    def _refusal(self, day: date, at: time) -> Content | None:
        free = self._free(day)
        slots = _texts(hours.nearest(free, at, OFFERED))
        if problem := hours.refusal(self._settings, day, at, self._now):
            return {"error": problem[0], "detail": problem[1], "slots": slots}
        if at not in free:
            return {"error": "slot_taken", "detail": "that slot is taken", "slots": slots}
        return None

    def _held(self, name: str, day: date, at: time) -> Content | None:
        """The appointment at that time, if it is that person's."""
        for entry in _listed(self._sql, day.isoformat()):
            if (entry.day, entry.time) == (day.isoformat(), _text(at)) and names.plain(entry.name) == names.plain(name):
                return _told(entry)
        return None

    def _find(self, name: str, day: str | None, at: str | None) -> Appointment | Content:
        """The one coming appointment that fits, or the error to answer with."""
        wanted_day = hours.read_day(day).isoformat() if day else None
        wanted_time = _text(hours.read_time(at)) if at else None
        local = self._now.astimezone(self._settings.zone)
        coming = [
            entry
            for entry in _listed(self._sql, local.date().isoformat())
            if (wanted_day in (None, entry.day)) and (wanted_time in (None, entry.time))
        ]
        similar = names.SIMILAR_WHEN_TIME_IS_KNOWN if day and at else names.SIMILAR
        fitting = [coming[index] for index in names.matches(name, [entry.name for entry in coming], similar)]
        if len(fitting) == 1:
            return fitting[0]
        if not fitting:
            return {"error": "not_found", "detail": "no coming appointment fits; ask for the name, day and time again"}
        choices = [{"day": entry.day, "weekday": _weekday(entry), "time": entry.time} for entry in fitting]
        return {"error": "ambiguous", "detail": "several fit; ask which day and time", "appointments": choices}


def _told(entry: Appointment) -> Content:
    """An appointment as a model is told of it: with the weekday, which models are poor at working out."""
    content = asdict(entry)
    time_of_day = content.pop("time")
    return content | {"weekday": _weekday(entry), "time": time_of_day}


def _weekday(entry: Appointment) -> str:
    return f"{date.fromisoformat(entry.day):%A}"


def appointments_in(path: Path) -> list[Appointment]:
    """Every appointment of a calendar file that is not cancelled, by time. For command lines and tests."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        return _listed(connection, "")
    finally:
        connection.close()


def _listed(connection: sqlite3.Connection, since: str) -> list[Appointment]:
    rows = connection.execute(
        "SELECT id, name, day, time FROM appointments WHERE cancelled IS NULL AND day >= ? ORDER BY day, time", (since,)
    )
    return [Appointment(*row) for row in rows]


def _text(at: time) -> str:
    return at.strftime("%H:%M")


def _texts(times: Sequence[time]) -> list[str]:
    return [_text(at) for at in times]
