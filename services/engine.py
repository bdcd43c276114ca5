"""The one thread that touches a model. The event loop never runs one, and a model never sees two threads."""

import asyncio
import contextlib
import contextvars
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from services.errors import Busy, Unavailable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job:
    """Work, the context it belongs to (so that its log lines carry the call), and who waits for it."""

    work: Callable[[], Any]
    context: contextvars.Context
    result: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop

    def do(self) -> None:
        try:
            value = self.context.run(self.work)
        except StopIteration as error:  # a future cannot carry it
            self.answer(RuntimeError(f"the job raised {error!r}"))
        except BaseException as error:  # noqa: BLE001 - carried to the awaiter, who decides; the thread lives on
            self.answer(error)
        else:
            self.answer(None, value)

    def answer(self, error: BaseException | None, value: Any = None) -> None:
        def settle() -> None:
            if self.result.done():  # its awaiter was cancelled
                return
            if error is not None:
                self.result.set_exception(error)
            else:
                self.result.set_result(value)

        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(settle)


class EngineThread:
    """Runs jobs one after the other in a thread of its own.

    The queue is bounded: when `limit` jobs wait, `run` raises Busy. A job whose awaiter was cancelled before it began
    is skipped.
    """

    def __init__(self, name: str, limit: int = 64, nice: int = 0) -> None:
        """`nice`: how far the thread steps back when others want its processor (Linux; 0 to 19)."""
        self._limit = limit
        self._nice = nice
        self._jobs: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Jobs that have not begun."""
        return len(self._jobs)

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work()` in the thread and return its result, or raise what it raised. Raises Busy, Unavailable."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        with self._wake:
            if self._closing:
                raise Unavailable("the engine is stopped")
            if len(self._jobs) >= self._limit:
                raise Busy(f"{self._limit} jobs wait for the engine", retry_after=0.5)
            self._jobs.append(_Job(work, contextvars.copy_context(), result, loop))
            self._wake.notify()
        return await result

    async def close(self) -> None:
        """Finish the job under way, refuse the rest, end the thread. May be called again."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        if self._nice and sys.platform == "linux":  # where the priority is a thread's own, and not the process's
            os.nice(self._nice)  # counted from where the process stands; never above 19
        while job := self._next():
            if not job.result.cancelled():
                job.do()
            del job  # its result must not live until the next one comes
        for refused in self._jobs:
            refused.answer(Unavailable("the engine is stopped"))
        self._jobs.clear()

    def _next(self) -> _Job | None:
        """The oldest job, waiting for one; None once the thread is to end."""
        with self._wake:
            while not self._jobs and not self._closing:
                self._wake.wait()
            return None if self._closing else self._jobs.popleft()
