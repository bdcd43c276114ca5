"""Keeps one conversation on some worker: opens a stream, and another one when that is lost or its worker leaves."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import grpc

from agent.clients.stream import Stream, streaming
from agent.clients.workers import Target, Workers
from services.errors import InternalError, InvalidRequest, NotFound, ServiceError, Unavailable
from services.telemetry import Plain
from services.telemetry import call_id as current_call

log = logging.getLogger(__name__)

BARREN_STREAMS = 3
"""So many streams in a row that end at once without a result are taken for a fault that another try does not mend."""
BRIEF_SECONDS = 2.0

Q = TypeVar("Q")
Q_contra = TypeVar("Q_contra", contravariant=True)
Q_co = TypeVar("Q_co", covariant=True)
R = TypeVar("R")
E = TypeVar("E")
E_contra = TypeVar("E_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Opened:
    """The worker has taken the conversation."""

    worker_id: str


@dataclass(frozen=True, slots=True)
class Draining:
    """The worker is about to leave."""

    seconds: float


class Conversation(Protocol[Q_co, E_contra]):
    """What goes on with a worker; it owns the truth, from which another worker can be brought to the same state."""

    def opening(self) -> Iterable[Q_co]:
        """All messages that bring a fresh worker to the present state. What is sent later goes after them."""

    def opened(self) -> None:
        """A worker has taken it."""

    async def received(self, event: E_contra) -> None:
        """A result. May wait for room."""

    def lost(self, opened: bool) -> None:
        """The stream ended; `opened` says whether it ever began."""

    def unreachable(self, error: ServiceError) -> None:
        """No worker has been found for `patience` seconds. Attempts go on."""

    def movable(self) -> bool:
        """Nothing is under way: the conversation may move to another worker."""

    def refused(self, error: ServiceError) -> bool:
        """`error` is InvalidRequest or NotFound: whether to try once more, because the next opening is different."""

    def complete(self) -> bool:
        """All results are there; no worker is needed any more."""

    def ended(self, error: ServiceError | None) -> None:
        """The last thing: it is complete, or failed with an `error` that no other worker can mend."""


class _Moving(Exception):
    """The worker drains, another one serves, and nothing is under way."""


class _Restart(Unavailable):
    """The conversation is opened anew because this worker cannot be told what has changed."""


@dataclass(frozen=True, slots=True)
class Terms(Generic[Q, R, E]):
    """What differs between the three kinds of workers."""

    method: "Callable[[grpc.aio.Channel], grpc.aio.StreamStreamMultiCallable[Q, R]]"
    decode: Callable[[R], E | Opened | Draining | None]
    """A response as a value; None for one that says nothing to us."""
    patience: float
    """Seconds without a worker after which the conversation is told."""


@dataclass(slots=True)
class _Attempt:
    """One stream, as far as it is needed to judge its end."""

    target: Target
    opened_at: float | None = None
    fruitful: bool = False
    draining: bool = False


class Failover(Generic[Q, R, E]):
    """The shell around a Conversation; `run` is a task of its owner."""

    def __init__(self, workers: Workers, terms: Terms[Q, R, E], conversation: Conversation[Q, E]) -> None:
        self._workers = workers
        self._terms = terms
        self._conversation = conversation
        self._stream: Stream[Q, R] | None = None
        self._opened = False
        self._barren = 0
        self._last_error: ServiceError = Unavailable(f"{workers.service}: no answer")
        self._alarm: asyncio.TimerHandle | None = None

    def send(self, message: Q) -> None:
        """Write to the worker; without one, nothing: the next one learns it from `opening`."""
        if self._stream is not None:
            self._stream.send(message)

    def restart(self) -> None:
        """Bring the worker to the present state by opening the conversation anew."""
        if (stream := self._stream) is not None:
            self._detach()
            stream.abandon(_Restart("opened anew"))

    async def run(self, call_id: str) -> None:
        """Serve the conversation until it is complete or fails for good, or the task is cancelled."""
        current_call.set(call_id)
        error: ServiceError | None = None
        try:
            while not self._conversation.complete() and error is None:
                self._worry()
                attempt = _Attempt(await self._workers.pick())
                try:
                    await self._converse(attempt)
                except _Moving:
                    log.info("moving to another worker", extra={"service": self._workers.service})
                except _Restart:
                    continue
                except ServiceError as problem:
                    error = self._judge(attempt, problem)
            self._conversation.ended(error)
        except Exception:  # a bug of ours: who waits for events must not wait for ever
            self._conversation.ended(InternalError("the client of the worker failed; the log has the traceback"))
            raise
        finally:
            self._calm()

    async def _converse(self, attempt: _Attempt) -> None:
        """One stream from open to end. Raises ServiceError, _Moving."""
        method = self._terms.method(attempt.target.channel)
        async with streaming(method, self._workers.service) as stream:
            try:
                for message in self._conversation.opening():
                    stream.send(message)
                self._stream, self._opened = stream, False
                await self._await_opened(stream, attempt)
                while (response := await stream.read()) is not None:
                    await self._handle(response, attempt)
            finally:  # before the stream is closed, which takes a moment
                self._detach()
        raise Unavailable(f"{attempt.target.name} ended the stream early")

    def _detach(self) -> None:
        """From now on nothing is sent, and the conversation knows it."""
        if self._stream is not None:
            self._stream = None
            self._conversation.lost(self._opened)

    async def _await_opened(self, stream: Stream[Q, R], attempt: _Attempt) -> None:
        patience = self._workers.patience(attempt.target)
        try:
            async with asyncio.timeout(patience):
                response = await stream.read()
        except TimeoutError:
            raise Unavailable(f"{attempt.target.name} did not open a stream within {patience:g} s") from None
        if response is None or not isinstance(self._terms.decode(response), Opened):
            raise InternalError("the worker's first response is not `opened`")
        stream.accepted()
        attempt.opened_at, self._opened = _now(), True
        self._workers.opened(attempt.target)
        self._calm()
        self._conversation.opened()

    async def _handle(self, response: R, attempt: _Attempt) -> None:
        match self._terms.decode(response):
            case None | Opened():
                pass
            case Draining(seconds):
                attempt.draining = True
                self._workers.leaving(attempt.target, seconds)
            case event:
                attempt.fruitful = True
                await self._conversation.received(event)
        if attempt.draining and self._conversation.movable() and await self._workers.another(attempt.target):
            raise _Moving

    def _judge(self, attempt: _Attempt, error: ServiceError) -> ServiceError | None:
        """Note how a stream ended; the error if no other stream can do better."""
        if self._conversation.complete():
            return None
        if isinstance(error, InvalidRequest | NotFound):
            return None if self._conversation.refused(error) else error
        # Attempts that fail come several times a second; `_complain` speaks for them.
        level = logging.DEBUG if attempt.opened_at is None else logging.WARNING
        extra = {"service": self._workers.service, "worker": Plain(attempt.target.name), "status": error.status.name}
        log.log(level, "lost a worker: %s", error, extra=extra)
        self._last_error = error
        self._workers.failed(attempt.target, error)
        brief = attempt.opened_at is not None and _now() - attempt.opened_at < BRIEF_SECONDS
        self._barren = self._barren + 1 if brief and not attempt.fruitful else 0
        if self._barren >= BARREN_STREAMS:
            if isinstance(error, InternalError):
                return error
            self._conversation.unreachable(error)
        return None

    def _worry(self) -> None:
        """From now on a worker is missing."""
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(self._terms.patience, self._complain)

    def _complain(self) -> None:
        extra = {"service": self._workers.service, "workers": [Plain(name) for name in self._workers.names]}
        log.error("no worker to be had: %s", self._last_error, extra=extra)
        self._conversation.unreachable(self._last_error)

    def _calm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None


@asynccontextmanager
async def keeping(failover: Failover[Q, R, E], call_id: str) -> AsyncIterator[None]:
    """Run `failover` for as long as the context; leaving it cancels the stream and waits until it has ended."""
    task = asyncio.create_task(failover.run(call_id))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled():
            task.result()


def _now() -> float:
    return asyncio.get_running_loop().time()
