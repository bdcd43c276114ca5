"""Call records in SQLite and recordings beside them, written while the call goes on."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

from agent.errors import StartError
from agent.store.call_record import CallRecord, stamp
from agent.store.liveness import ProcessMark
from agent.store.records import CallRecordRows, CallRow
from agent.store.rows import CALL_COLUMNS, call_from, events_of, last_sign_of_life, turns_of
from agent.store.schema import connect
from agent.store.writer import Writer
from agent.telephony.leg import CallInfo

__all__ = ["CallRecord", "Store"]

log = logging.getLogger(__name__)
INTERRUPTED = "interrupted"
"""End reason of a call whose agent process died."""
MOST_LISTED = 200
ORPHAN_SECONDS = 24 * 3600.0
"""A recording that no call knows is deleted at this age; a younger one may belong to a call just being written."""
Clock = Callable[[], datetime]


class Store:
    """Records and recordings of one directory. Several agent processes of a machine may share it."""

    def __init__(self, directory: Path, writer: Writer, process: ProcessMark, now: Clock) -> None:
        self._recordings = directory / "recordings"
        self._writer = writer
        self._process = process
        self._now = now

    @classmethod
    @asynccontextmanager
    async def open(cls, directory: Path, now: Clock = lambda: datetime.now(UTC)) -> AsyncIterator["Store"]:
        """Open or create `directory/calls.sqlite` and `directory/recordings/`. Calls that a dead process left without
        an end become `interrupted`. Raises StartError."""
        process = await asyncio.to_thread(_make, directory)
        writer = Writer(lambda: connect(directory / "calls.sqlite"))
        try:
            await writer.start()
            store = cls(directory, writer, process, now)
            if interrupted := await writer.ask(store._mark_interrupted):
                log.warning("calls were cut off by the end of their process", extra={"calls": interrupted})
            try:
                yield store
            finally:
                await writer.close()
        finally:
            process.close()

    def begin(self, info: CallInfo, agent: str) -> CallRecord:
        """A call exists (ringing or being dialled)."""
        values = (
            *(info.id, self._process.id, info.direction, info.kind, agent, info.caller, info.called),
            stamp(self._now()),
        )
        self._writer.put(
            lambda sql: _execute(
                sql,
                "INSERT INTO calls (id, process, direction, kind, agent, caller, called, started)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        )
        return CallRecord(info.id, self._writer, self._recordings, self._now)

    async def calls(self, limit: int = 50, before: str | None = None) -> list[CallRow]:
        """The newest calls; `before`: older than the call of that id. At most 200."""

        def read(connection: sqlite3.Connection) -> list[CallRow]:
            older = "WHERE sequence < (SELECT sequence FROM calls WHERE id = :before)" if before else ""
            rows = connection.execute(
                f"SELECT {CALL_COLUMNS} FROM calls {older} ORDER BY sequence DESC LIMIT :limit",
                {"before": before, "limit": min(limit, MOST_LISTED)},
            )
            return [call_from(row) for row in rows]

        return await self._writer.ask(read)

    async def call(self, call_id: str) -> CallRecordRows | None:
        """One call with turns and events. Reads what was written before this call, too."""

        def read(connection: sqlite3.Connection) -> CallRecordRows | None:
            row = connection.execute(f"SELECT {CALL_COLUMNS} FROM calls WHERE id = ?", (call_id,)).fetchone()
            if row is None:
                return None
            return CallRecordRows(call_from(row), turns_of(connection, call_id), events_of(connection, call_id))

        return await self._writer.ask(read)

    async def recording(self, call_id: str) -> Path | None:
        """The WAV file, if there is one."""

        def read(connection: sqlite3.Connection) -> Path | None:
            row = connection.execute("SELECT recording FROM calls WHERE id = ?", (call_id,)).fetchone()
            path = self._recordings / row[0] if row and row[0] else None
            return path if path and path.is_file() else None

        return await self._writer.ask(read)

    async def delete(self, call_id: str) -> bool:
        """Remove an ended call, its turns, events and recording. False: no such call, or it goes on."""
        return await self._writer.ask(lambda sql: self._delete(sql, call_id))

    async def sweep(self, retention: Mapping[str, int]) -> int:
        """Delete ended calls older than their agent's days (`retention[agent]`; absent: kept), and recordings that no
        call knows. Returns how many calls."""

        def work(connection: sqlite3.Connection) -> int:
            gone = 0
            for agent, days in retention.items():
                limit = stamp(self._now() - timedelta(days=days))
                rows = connection.execute("SELECT id FROM calls WHERE agent = ? AND ended < ?", (agent, limit))
                gone += sum(self._delete(connection, row[0]) for row in rows.fetchall())
            self._delete_orphans(connection)
            return gone

        return await self._writer.ask(work)

    async def sweep_forever(self, retention: Mapping[str, int], every: float = 3600.0) -> NoReturn:
        """`sweep` now and each `every` seconds, until cancelled."""
        while True:
            try:
                if gone := await self.sweep(retention):
                    log.info("old calls deleted", extra={"calls": gone})
            except (sqlite3.Error, OSError) as error:
                log.error("old calls could not be deleted; tried again later", extra={"error": str(error)})
            await asyncio.sleep(every)

    async def flush(self) -> None:
        """Return once everything written so far is on disk."""
        await self._writer.ask(lambda _: None)

    # -- in the writer's thread --------------------------------------------------------------------------------------

    def _mark_interrupted(self, connection: sqlite3.Connection) -> int:
        rows = connection.execute("SELECT id, process FROM calls WHERE ended IS NULL").fetchall()
        alive = {process: self._process.alive(process) for process in {row[1] for row in rows}}
        dead = [call_id for call_id, process in rows if not alive[process]]
        for call_id in dead:
            ended = last_sign_of_life(connection, call_id)
            connection.execute("UPDATE calls SET ended = ?, reason = ? WHERE id = ?", (ended, INTERRUPTED, call_id))
        self._process.tidy()
        return len(dead)

    def _delete(self, connection: sqlite3.Connection, call_id: str) -> bool:
        row = connection.execute(
            "DELETE FROM calls WHERE id = ? AND ended IS NOT NULL RETURNING recording", (call_id,)
        ).fetchone()
        if row and row[0]:
            (self._recordings / row[0]).unlink(missing_ok=True)
        return row is not None

    def _delete_orphans(self, connection: sqlite3.Connection) -> None:
        """Left by a process that died between deleting a call and deleting its recording."""
        known = {row[0] for row in connection.execute("SELECT recording FROM calls WHERE recording IS NOT NULL")}
        for file in self._recordings.glob("*.wav"):
            if file.name not in known and time.time() - file.stat().st_mtime > ORPHAN_SECONDS:
                file.unlink(missing_ok=True)


def _make(directory: Path) -> ProcessMark:
    try:
        recordings = directory / "recordings"
        recordings.mkdir(parents=True, exist_ok=True)
        recordings.chmod(0o700)
        (directory / "calls.sqlite").touch(0o600)  # SQLite gives its side files the same mode
        return ProcessMark(directory / "processes")
    except OSError as error:
        raise StartError(
            f"call records {directory}: {error.strerror}. The directory must exist or be creatable, and writable."
        ) from None


def _execute(connection: sqlite3.Connection, statement: str, values: tuple[object, ...]) -> None:
    connection.execute(statement, values)
