"""A calendar file: one thread of this process touches it, one transaction per tool call, each write done once."""

import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from agent.definition import CalendarSettings
from agent.errors import StartError
from agent.tools.appointments import Appointments, Content
from services.engine import EngineThread

APPLICATION_ID = 0x54724361
"""In the file's header; tells a calendar from another program's database."""
VERSION = 1
SCHEMA = """
CREATE TABLE appointments (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, day TEXT NOT NULL, time TEXT NOT NULL, reason TEXT NOT NULL,
    created TEXT NOT NULL, cancelled TEXT
) STRICT;
-- Two calls that want one slot: the second insert fails, whatever was checked before.
CREATE UNIQUE INDEX one_per_slot ON appointments (day, time) WHERE cancelled IS NULL;
CREATE TABLE messages (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, text TEXT NOT NULL, number TEXT NOT NULL, created TEXT NOT NULL
) STRICT;
CREATE TABLE results (
    key TEXT PRIMARY KEY, content TEXT NOT NULL, created TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""


class Calendar:
    """One calendar file. Other processes may use it too: writes wait for each other, for at most two seconds."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        thread: EngineThread,
        settings: CalendarSettings,
        now: Callable[[], datetime],
    ) -> None:
        self._sql = connection
        self._thread = thread
        self._settings = settings
        self._now = now

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, settings: CalendarSettings, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> AsyncIterator["Calendar"]:
        """Open or create the file. `now` (aware) is for tests. Raises StartError: unreadable, not a calendar."""
        thread = EngineThread(f"calendar-{path.stem}")
        try:
            connection = await thread.run(lambda: _connect(path))
            try:
                yield cls(connection, thread, settings, now)
            finally:
                await thread.run(connection.close)
        finally:
            await thread.close()

    async def read(self, work: Callable[[Appointments], Content]) -> Content:
        """The result of `work`. Raises what it raises, sqlite3.Error, services.errors.Busy."""
        return await self._thread.run(lambda: work(self._book()))

    async def write(self, key: str, work: Callable[[Appointments], Content]) -> tuple[Content, bool]:
        """(result, False) of `work`; or (stored result, True) if this key was carried out before. The result is stored
        in the transaction that does the work: a process killed in between has done neither. Errors are not stored."""
        return await self._thread.run(lambda: self._once(key, work))

    async def stored(self, key: str) -> Content | None:
        """The result stored under this key."""
        return await self._thread.run(lambda: self._stored(key))

    def _book(self) -> Appointments:
        return Appointments(self._sql, self._settings, self._now())

    def _once(self, key: str, work: Callable[[Appointments], Content]) -> tuple[Content, bool]:
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            if (stored := self._stored(key)) is not None:
                return stored, True
            content = work(self._book())
            # What failed may be tried again with the same key: nothing was done.
            if "error" not in content:
                values = (key, json.dumps(content), self._now().isoformat(timespec="seconds"))
                self._sql.execute("INSERT INTO results VALUES (?, ?, ?)", values)
            self._sql.execute("COMMIT")
            return content, False
        finally:
            if self._sql.in_transaction:
                self._sql.execute("ROLLBACK")

    def _stored(self, key: str) -> Content | None:
        row = self._sql.execute("SELECT content FROM results WHERE key = ?", (key,)).fetchone()
        content: Content | None = json.loads(row[0]) if row else None
        return content


def _connect(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=2, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise StartError(f"calendar {path}: cannot be opened: {error}. Check the path and its rights.") from None
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise StartError(f"calendar {path}: {error}. Restore it from a copy, or move it away to start empty.") from None
    except StartError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")  # two processes that both find the file new: one makes the tables
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not tables:
        for statement in SCHEMA.split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    elif application != APPLICATION_ID:
        raise StartError(f"calendar {path}: this is another program's database. Set another path.")
    elif version != VERSION:
        raise StartError(f"calendar {path}: version {version}; this program reads version {VERSION}. Update it.")
    connection.execute("COMMIT")
