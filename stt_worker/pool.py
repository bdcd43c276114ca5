"""The threads that decode. Every decode of every call goes through here; the event loop never runs a model."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from services.errors import Busy, Unavailable
from stt_worker.scheduler import Full, Job, Kind, Scheduler

T = TypeVar("T")

GiveUp = Callable[[], bool]


class Superseded(Exception):
    """A newer job of the same stream took the place of this one before it was started."""


@dataclass(frozen=True)
class Done(Generic[T]):
    """What a job returned, and when it was begun and finished (`time.monotonic`)."""

    value: T
    begun: float
    finished: float


@dataclass(eq=False)
class Handle(Generic[T]):
    """A job that was submitted. `future` carries Done, Superseded, or what the work raised."""

    future: "asyncio.Future[Done[T]]"
    job: "Job[_Work[T]]" = field(init=False)


@dataclass(frozen=True, eq=False)
class _Work(Generic[T]):
    run: Callable[[GiveUp], T]
    handle: Handle[T]
    loop: asyncio.AbstractEventLoop


class DecoderPool(Generic[T]):
    """A fixed number of threads that take jobs from a `Scheduler`. Use from one event loop."""

    def __init__(self, decoders: int, max_waiting: int) -> None:
        self._scheduler: Scheduler[_Work[T]] = Scheduler(max_waiting)
        self._change = threading.Condition()
        self._idle = decoders
        self._closing = False
        self._threads = [threading.Thread(target=self._serve, name=f"decoder-{i}") for i in range(decoders)]
        for thread in self._threads:
            thread.start()

    def submit(self, stream: int, kind: Kind, run: Callable[[GiveUp], T]) -> Handle[T]:
        """Queue `run(give_up)`. Raises Busy when too much waits, Unavailable after `close`."""
        loop = asyncio.get_running_loop()
        handle: Handle[T] = Handle(loop.create_future())
        handle.job = Job(stream, kind, _Work(run, handle, loop))
        with self._change:
            if self._closing:
                raise Unavailable("the worker stops")
            try:
                replaced = self._scheduler.add(handle.job)
            except Full as error:
                raise Busy(str(error), retry_after=0.5) from None
            self._change.notify()
        for job in replaced:
            _refuse(job.payload, Superseded())
        return handle

    def withdraw(self, handle: Handle[T]) -> bool:
        """Take a job back, its future is cancelled; False if it is under way or done."""
        with self._change:
            withdrawn = self._scheduler.withdraw(handle.job)
        if withdrawn:
            handle.future.cancel()
        return withdrawn

    def drop(self, stream: int) -> None:
        """Take back all jobs of a stream that has ended."""
        with self._change:
            dropped = self._scheduler.drop(stream)
        for job in dropped:
            job.payload.handle.future.cancel()

    @property
    def waiting(self) -> int:
        """Jobs that wait for a decoder."""
        with self._change:
            return self._scheduler.waiting

    @property
    def free(self) -> bool:
        """Whether a job would start at once: only then is unasked work worth submitting."""
        with self._change:
            return self._idle > self._scheduler.waiting

    async def close(self) -> None:
        """Finish what is under way, refuse the rest, end the threads."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        with self._change:
            refused = []
            while job := self._scheduler.take():
                refused.append(job)
        for job in refused:
            _refuse(job.payload, Unavailable("the worker stops"))

    def _serve(self) -> None:
        while work := self._next():
            self._run(work)
            with self._change:
                self._idle += 1

    def _next(self) -> tuple[Kind, _Work[T]] | None:
        with self._change:
            while not self._closing:
                if job := self._scheduler.take():
                    self._idle -= 1
                    return job.kind, job.payload
                self._change.wait()
            return None

    def _run(self, taken: tuple[Kind, _Work[T]]) -> None:
        kind, work = taken
        begun = time.monotonic()
        give_up = self._is_needed if kind is Kind.PARTIAL else _never
        try:
            value = work.run(give_up)
        except Exception as error:  # noqa: BLE001 - carried to the awaiter, who decides
            failure = error
            _settle(work, lambda future: future.set_exception(failure))
        else:
            done = Done(value, begun, time.monotonic())
            _settle(work, lambda future: future.set_result(done))

    def _is_needed(self) -> bool:
        """Whether somebody waits for this decoder, so that unasked work should make room."""
        with self._change:
            return self._scheduler.asked > self._idle


def _never() -> bool:
    return False


def _refuse(work: _Work[T], error: Exception) -> None:
    if not work.handle.future.done():
        work.handle.future.set_exception(error)


def _settle(work: _Work[T], how: "Callable[[asyncio.Future[Done[T]]], None]") -> None:
    def act() -> None:
        if not work.handle.future.done():
            how(work.handle.future)

    if not work.loop.is_closed():
        work.loop.call_soon_threadsafe(act)
