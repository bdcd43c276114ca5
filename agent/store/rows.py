"""Rows of the tables from and to values."""

import json
import sqlite3
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from agent.store.records import CallRow, EventRow, TurnRow, WordRow

CALL_COLUMNS = (
    "id, direction, kind, agent, caller, called, started, connected, ended, reason, detail, codec, rate,"
    " recording IS NOT NULL AS recording, summary"
)


def call_from(row: sqlite3.Row) -> CallRow:
    """A row of CALL_COLUMNS."""
    fields: dict[str, Any] = dict(row)
    fields["recording"] = bool(row["recording"])
    fields["summary"] = json.loads(row["summary"])
    return CallRow(**fields)


def turn_values(call_id: str, turn: TurnRow) -> tuple[object, ...]:
    """A row of the table `turns`."""
    return (
        call_id,
        turn.index,
        turn.outcome,
        turn.caller,
        turn.agent_sent,
        turn.agent_heard,
        json.dumps(dict(turn.marks)),
        json.dumps(dict(turn.stages)),
        turn.latency,
        int(turn.interrupted),
        json.dumps([asdict(word) for word in turn.words]),
    )


def write_turn(connection: sqlite3.Connection, values: tuple[object, ...]) -> None:
    """Insert or replace the row `values`."""
    connection.execute("INSERT OR REPLACE INTO turns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)


def turns_of(connection: sqlite3.Connection, call_id: str) -> tuple[TurnRow, ...]:
    """By index."""
    rows = connection.execute(
        "SELECT number AS 'index', outcome, caller, agent_sent, agent_heard, marks, stages, latency, interrupted, words"
        " FROM turns WHERE call_id = ? ORDER BY number",
        (call_id,),
    )
    return tuple(_turn_from(row) for row in rows)


def events_of(connection: sqlite3.Connection, call_id: str) -> tuple[EventRow, ...]:
    """By time."""
    rows = connection.execute("SELECT at, kind, data FROM events WHERE call_id = ? ORDER BY at, id", (call_id,))
    return tuple(EventRow(at, kind, json.loads(data)) for at, kind, data in rows)


def last_sign_of_life(connection: sqlite3.Connection, call_id: str) -> str:
    """When a call without an end was last known to be up: RFC 3339."""
    started, connected, seconds = connection.execute(
        "SELECT started, connected, (SELECT max(at) FROM events WHERE call_id = calls.id) FROM calls WHERE id = ?",
        (call_id,),
    ).fetchone()
    if connected is None:
        return str(started)
    moments = [mark for turn in turns_of(connection, call_id) for mark in turn.marks.values()]
    last = datetime.fromisoformat(connected) + timedelta(seconds=max([seconds or 0.0, *moments]))
    return last.isoformat(timespec="milliseconds")


def _turn_from(row: sqlite3.Row) -> TurnRow:
    fields: dict[str, Any] = dict(row)
    fields["marks"], fields["stages"] = json.loads(row["marks"]), json.loads(row["stages"])
    fields["interrupted"] = bool(row["interrupted"])
    fields["words"] = tuple(WordRow(**word) for word in json.loads(row["words"]))
    return TurnRow(**fields)
