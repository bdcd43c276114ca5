"""The one thread that touches a model. The event loop never runs one, and a model never sees two threads."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from services.errors import Busy, Unavailable

T = TypeVar("T")


class EngineThread:
    """Runs jobs one after the other in a thread of its own.

    The queue is bounded: when `limit` jobs wait, `run` raises Busy. A job whose awaiter was cancelled before it began
    is skipped.
    """

    def __init__(self, name: str, limit: int = 64) -> None:
        self._limit = limit
        self._jobs: deque[tuple[Callable[[], Any], asyncio.Future[Any], asyncio.AbstractEventLoop]] = deque()
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
            self._jobs.append((work, result, loop))
            self._wake.notify()
        return await result

    async def close(self) -> None:
        """Finish the job under way, refuse the rest, end the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._jobs and not self._closing:
                    self._wake.wait()
                if self._closing:
                    refused = list(self._jobs)
                    self._jobs.clear()
                    break
                work, result, loop = self._jobs.popleft()
            if not result.cancelled():
                self._do(work, result, loop)
        for _, result, loop in refused:
            self._answer(loop, result, Unavailable("the engine is stopped"), None)

    def _do(self, work: Callable[[], Any], result: "asyncio.Future[Any]", loop: asyncio.AbstractEventLoop) -> None:
        try:
            value = work()
        except Exception as error:  # noqa: BLE001 - carried to the awaiter, who decides
            self._answer(loop, result, error, None)
        else:
            self._answer(loop, result, None, value)

    @staticmethod
    def _answer(
        loop: asyncio.AbstractEventLoop, result: "asyncio.Future[Any]", error: Exception | None, value: Any
    ) -> None:
        def settle() -> None:
            if result.done():
                return
            if error is not None:
                result.set_exception(error)
            else:
                result.set_result(value)

        if not loop.is_closed():
            loop.call_soon_threadsafe(settle)
