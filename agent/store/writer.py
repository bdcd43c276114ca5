"""The one thread that writes records and recordings, so that a slow disk never stops a call."""

import asyncio
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from prometheus_client import Counter

log = logging.getLogger(__name__)
T = TypeVar("T")
After = Callable[[], object]
Job = Callable[[sqlite3.Connection], After | None]
"""Runs in the thread, in a transaction; what it returns is called once that is committed."""

MOST_RECORDS = 20_000
"""Jobs that may wait: minutes of a disk that hangs. Then the newest are dropped and counted."""
MOST_SOUND = 2_000
"""Blocks of sound that may wait (half a second each). Then new ones are dropped: silence in the recording."""
BATCH = 200
"""Jobs in one transaction, at most."""

dropped = Counter("trunkline_store_dropped_total", "Records or blocks of sound that were not written.", ["what"])


class Writer:
    """Runs jobs in order. Owns the connection from `start` to `close`."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._jobs: deque[tuple[Job, bool]] = deque()
        self._sound = 0
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._started: asyncio.Future[None]

    async def start(self) -> None:
        """Connect. Raises what `connect` raises."""
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.create_future()
        self._thread.start()
        await self._started

    def put(self, job: Job, sound: bool = False) -> bool:
        """Queue a job; False: dropped, for the queue is full or the writer closed. Never blocks."""
        with self._wake:
            full = self._sound >= MOST_SOUND if sound else len(self._jobs) - self._sound >= MOST_RECORDS
            if full or self._closing:
                dropped.labels("sound" if sound else "record").inc()
                return False
            self._jobs.append((job, sound))
            self._sound += sound
            self._wake.notify()
            return True

    async def ask(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of `work` after everything queued before it. Raises what it raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def settle(value: T | None, error: Exception | None) -> None:
            if not answer.done():
                answer.set_exception(error) if error else answer.set_result(value)  # type: ignore[arg-type]

        def job(connection: sqlite3.Connection) -> After:
            try:
                value = work(connection)
            except (sqlite3.Error, OSError) as error:
                return partial(loop.call_soon_threadsafe, settle, None, error)
            return partial(loop.call_soon_threadsafe, settle, value, None)

        if not self.put(job):
            raise sqlite3.OperationalError("the record writer is closed or has fallen far behind")
        return await answer

    async def close(self) -> None:
        """Write what waits, then end."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)

    # -- in the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            connection = self._connect()
        except Exception as error:  # noqa: BLE001 - carried to `start`, which raises it
            self._loop.call_soon_threadsafe(self._started.set_exception, error)
            return
        self._loop.call_soon_threadsafe(self._started.set_result, None)
        while jobs := self._next():
            self._carry_out(connection, jobs)
        connection.close()

    def _next(self) -> list[tuple[Job, bool]]:
        """The jobs of one transaction; empty: closed and nothing left."""
        with self._wake:
            while not self._jobs and not self._closing:
                self._wake.wait()
            taken = [self._jobs.popleft() for _ in range(min(BATCH, len(self._jobs)))]
            self._sound -= sum(sound for _, sound in taken)
            return taken

    def _carry_out(self, connection: sqlite3.Connection, jobs: list[tuple[Job, bool]]) -> None:
        """One transaction; each job in it stands or falls alone."""
        after: list[After] = []
        try:
            if not all(sound for _, sound in jobs):
                connection.execute("BEGIN IMMEDIATE")
            for job, sound in jobs:
                self._do(job, sound, connection, after)
            if connection.in_transaction:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._failed("record", len(jobs), error)
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        for callback in after:
            callback()

    def _do(self, job: Job, sound: bool, connection: sqlite3.Connection, after: list[After]) -> None:
        try:
            callback = job(connection)
        except (sqlite3.Error, OSError) as error:
            self._failed("sound" if sound else "record", 1, error)
        except Exception as error:  # noqa: BLE001 - a bug in one job must not end the records of all calls
            self._failed("sound" if sound else "record", 1, error, bug=True)
        else:
            if callback:
                after.append(callback)

    def _failed(self, what: str, count: int, error: Exception, bug: bool = False) -> None:
        dropped.labels(what).inc(count)
        log.error("not written", extra={"what": what, "count": count, "error": str(error)}, exc_info=bug)
