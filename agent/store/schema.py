"""The tables of call records, and the step from each version of them to the next."""

import sqlite3
from pathlib import Path

from agent.errors import StartError

APPLICATION_ID = 0x5472436C
"""In the file's header; tells a record of calls from another program's database."""

STEPS = (
    """
    CREATE TABLE calls (
        sequence INTEGER PRIMARY KEY,  -- newest last, whatever the clock did
        id TEXT NOT NULL UNIQUE, process TEXT NOT NULL,
        direction TEXT NOT NULL, kind TEXT NOT NULL, agent TEXT NOT NULL,
        caller TEXT NOT NULL, called TEXT NOT NULL,
        started TEXT NOT NULL, connected TEXT, ended TEXT, reason TEXT, detail TEXT NOT NULL DEFAULT '',
        codec TEXT NOT NULL DEFAULT '', rate INTEGER, recording TEXT, summary TEXT NOT NULL DEFAULT '{}'
    ) STRICT;
    CREATE INDEX calls_open ON calls (process) WHERE ended IS NULL;
    CREATE INDEX calls_old ON calls (agent, ended);
    CREATE TABLE turns (
        call_id TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
        number INTEGER NOT NULL, outcome TEXT NOT NULL,
        caller TEXT NOT NULL, agent_sent TEXT NOT NULL, agent_heard TEXT NOT NULL,
        marks TEXT NOT NULL, stages TEXT NOT NULL, latency REAL, interrupted INTEGER NOT NULL, words TEXT NOT NULL,
        PRIMARY KEY (call_id, number)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE events (
        id INTEGER PRIMARY KEY, call_id TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
        at REAL NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL
    ) STRICT;
    CREATE INDEX events_of ON events (call_id, at);
    """,
)
"""Step i brings a file of version i to version i + 1. Never changed once released; new ones are added."""


def connect(path: Path) -> sqlite3.Connection:
    """Open or create the records at `path`, at the newest version. Raises StartError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=5, isolation_level=None)
        connection.row_factory = sqlite3.Row
    except (OSError, sqlite3.Error) as error:
        raise StartError(f"call records {path}: cannot be opened: {error}. Check the path and its rights.") from None
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        advice = "Restore it from a copy, or move it away to start empty."
        raise StartError(f"call records {path}: {error}. {advice}") from None
    except StartError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    # NORMAL: a killed process loses nothing, a power cut at most the last moments. FULL would sync the disk each time.
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN IMMEDIATE")  # agents that start together: one migrates, the others find it done
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and application != APPLICATION_ID:
        raise StartError(f"call records {path}: this is another program's database. Set another path.")
    if version > len(STEPS):
        raise StartError(f"call records {path}: version {version} is newer than this program's {len(STEPS)}. Update.")
    for step in STEPS[version:]:
        for statement in step.split(";\n"):
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(STEPS)}")
    connection.execute("COMMIT")
