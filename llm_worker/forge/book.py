"""The book of a simulated practice: appointments and messages in SQLite, answering as the agent's tools do."""

import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime, time
from typing import Any

from llm_worker.forge import spelling
from llm_worker.forge.hours import Hours, nearest, read_day, read_time

Content = dict[str, Any]
"""The result of a tool; with `error` when nothing was done."""

OFFERED = 6
"""Slots in one answer."""
_SCHEMA = """
CREATE TABLE appointments (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, day TEXT NOT NULL, time TEXT NOT NULL, reason TEXT NOT NULL,
    cancelled INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX one_per_slot ON appointments (day, time) WHERE NOT cancelled;
CREATE TABLE messages (id INTEGER PRIMARY KEY, name TEXT NOT NULL, text TEXT NOT NULL, number TEXT NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True, order=True)
class Appointment:
    """One line of the book; `day` is YYYY-MM-DD, `time` HH:MM."""

    appointment_id: int
    name: str
    day: str
    time: str


@dataclass(frozen=True, slots=True)
class Note:
    """A message that was taken; `number` is empty where the caller has none and gave none."""

    name: str
    text: str
    number: str


class Book:
    """Arguments are as models write them; hours.Unclear says which one cannot be read. `now` is local and naive."""

    def __init__(self, hours: Hours, now: datetime, booked: Iterable[tuple[str, str, str]] = ()) -> None:
        """`booked`: name, day, time of the appointments that exist already."""
        self._hours = hours
        self._now = now
        self._sql = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._sql.executescript(_SCHEMA)
        self._sql.executemany("INSERT INTO appointments (name, day, time, reason) VALUES (?, ?, ?, '')", booked)

    def close(self) -> None:
        """Free the database."""
        self._sql.close()

    def appointments(self, since: str = "") -> list[Appointment]:
        """Those that are not cancelled, by time."""
        rows = self._sql.execute(
            "SELECT id, name, day, time FROM appointments WHERE NOT cancelled AND day >= ? ORDER BY day, time", (since,)
        )
        return [Appointment(*row) for row in rows]

    def messages(self) -> list[Note]:
        """Those that were taken, oldest first."""
        return [Note(*row) for row in self._sql.execute("SELECT name, text, number FROM messages ORDER BY id")]

    def find_slots(self, day: str, after: str | None = None) -> Content:
        """Up to six free slots of the day, from `after` on. Without any: `reason` closed, full or past."""
        on = read_day(day)
        first = read_time(after) if after else time.min
        free = [at for at in self._free(on) if at >= first]
        content: Content = {"day": on.isoformat(), "weekday": f"{on:%A}", "slots": [_text(at) for at in free[:OFFERED]]}
        if not free:
            content["reason"] = self._why_none(on)
        return content

    def book_appointment(self, name: str, day: str, time: str, reason: str = "") -> Content:
        """The appointment, or `error` slot_taken, closed, past, invalid with the nearest free `slots`."""
        on, at = read_day(day), read_time(time)
        if not spelling.plain(name):
            return {"error": "invalid", "detail": "name: whose appointment is it?", "slots": []}
        if problem := self._refusal(on, at):
            return self._held(name, on, at) or problem
        cursor = self._sql.execute(
            "INSERT INTO appointments (name, day, time, reason) VALUES (?, ?, ?, ?)",
            (name.strip(), on.isoformat(), _text(at), reason),
        )
        return _told(Appointment(int(cursor.lastrowid or 0), name.strip(), on.isoformat(), _text(at)))

    def move_appointment(
        self, name: str, new_day: str, new_time: str, day: str | None = None, time: str | None = None
    ) -> Content:
        """The appointment at its new time, or `error` not_found, ambiguous, or one of book_appointment's."""
        on, at = read_day(new_day), read_time(new_time)
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
        self._sql.execute("UPDATE appointments SET cancelled = 1 WHERE id = ?", (found.appointment_id,))
        return _told(found) | {"cancelled": True}

    def take_message(self, name: str, text: str, number: str = "") -> Content:
        """Keep a message for the people of the practice."""
        cursor = self._sql.execute("INSERT INTO messages (name, text, number) VALUES (?, ?, ?)", (name, text, number))
        return {"message_id": cursor.lastrowid, "name": name}

    def _free(self, day: date) -> list[time]:
        rows = self._sql.execute("SELECT time FROM appointments WHERE day = ? AND NOT cancelled", (day.isoformat(),))
        taken = {row[0] for row in rows}
        return [at for at in self._hours.still_ahead(day, self._now) if _text(at) not in taken]

    def _why_none(self, day: date) -> str:
        if not self._hours.slots(day):
            return "closed"
        return "full" if self._hours.still_ahead(day, self._now) else "past"

    def _refusal(self, day: date, at: time) -> Content | None:
        free = self._free(day)
        slots = [_text(near) for near in nearest(free, at, OFFERED)]
        if problem := self._hours.refusal(day, at, self._now):
            return {"error": problem[0], "detail": problem[1], "slots": slots}
        if at not in free:
            return {"error": "slot_taken", "detail": "that slot is taken", "slots": slots}
        return None

    def _held(self, name: str, day: date, at: time) -> Content | None:
        """The appointment at that time, if it is that person's: who asks twice gets the same one."""
        for entry in self.appointments(day.isoformat()):
            same_time = (entry.day, entry.time) == (day.isoformat(), _text(at))
            if same_time and spelling.plain(entry.name) == spelling.plain(name):
                return _told(entry)
        return None

    def _find(self, name: str, day: str | None, at: str | None) -> Appointment | Content:
        """The one coming appointment that fits, or the error to answer with."""
        wanted_day = read_day(day).isoformat() if day else None
        wanted_time = _text(read_time(at)) if at else None
        coming = [
            entry
            for entry in self.appointments(self._now.date().isoformat())
            if wanted_day in (None, entry.day) and wanted_time in (None, entry.time)
        ]
        similar = spelling.SIMILAR_WHEN_TIME_IS_KNOWN if day and at else spelling.SIMILAR
        fitting = [coming[index] for index in spelling.matches(name, [entry.name for entry in coming], similar)]
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


def _text(at: time) -> str:
    return at.strftime("%H:%M")
