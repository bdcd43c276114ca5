"""The pen of one call: every method returns at once, the writer thread does the work, in order."""

import json
import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.store.recorder import Recorder
from agent.store.records import TurnRow
from agent.store.rows import turn_values, write_turn
from agent.store.writer import Writer


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds; such texts sort by time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


class CallRecord:
    """Writes one call. No method blocks; what cannot be written is logged and counted, not raised."""

    def __init__(self, call_id: str, writer: Writer, recordings: Path, now: Callable[[], datetime]) -> None:
        self._id = call_id
        self._writer = writer
        self._recordings = recordings
        self._now = now
        self._recorder: Recorder | None = None

    def connected(self, codec: str, rate: int) -> None:
        """The call is up; `at` of turns and events counts from here."""
        self._update("connected = ?, codec = ?, rate = ?", stamp(self._now()), codec, rate)

    def turn(self, row: TurnRow) -> None:
        """Write, or write again, a turn."""
        values = turn_values(self._id, row)
        self._writer.put(lambda sql: write_turn(sql, values))

    def event(self, kind: str, at: float, **data: Any) -> None:
        """Write an event `at` seconds after the call connected; `data` must be JSON."""
        values = (self._id, at, kind, json.dumps(data))

        def job(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO events (call_id, at, kind, data) VALUES (?, ?, ?, ?)", values)

        self._writer.put(job)

    def digits(self, at: float, keys: str, masked: bool = False) -> None:
        """Write keys the caller pressed; masked: only how many."""
        self.event("digits", at, keys="•" * len(keys) if masked else keys)

    def ended(self, reason: str, detail: str = "", summary: Mapping[str, float] | None = None) -> None:
        """The call is over. The first end counts. Closes the recording."""
        if self._recorder is not None:
            self._recorder.close()
        text = json.dumps(dict(summary or {}))
        self._update("ended = ?, reason = ?, detail = ?, summary = ?", stamp(self._now()), str(reason), detail, text)

    def recorder(self, rate: int) -> Recorder:
        """Begin the call's recording, once per call, at `rate` samples per second."""
        if self._recorder is not None:
            raise ValueError("a call has one recording")
        name = f"{self._id}.wav"
        self._update("recording = ?", name)
        self._recorder = Recorder(self._recordings / name, rate, self._writer, self._forget_recording)
        return self._recorder

    def _forget_recording(self, connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE calls SET recording = NULL WHERE id = ?", (self._id,))

    def _update(self, assignments: str, *values: object) -> None:
        statement = f"UPDATE calls SET {assignments} WHERE id = ? AND ended IS NULL"

        def job(connection: sqlite3.Connection) -> None:
            connection.execute(statement, (*values, self._id))

        self._writer.put(job)
