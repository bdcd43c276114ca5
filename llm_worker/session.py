"""One conversation that is open: applies operations in order, runs its generation, sends events."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from types import TracebackType
from typing import Self

from llm_worker.backends import Backend, Call, Delta, Finished, Reason, Step, Usage
from llm_worker.checks import Limits
from llm_worker.exchange import (
    Append,
    Asked,
    Commit,
    Done,
    Event,
    Generate,
    Opened,
    Operation,
    Prefilled,
    Retract,
    Stop,
    Text,
    Truncate,
    Truncated,
)
from llm_worker.messages import Prompt
from llm_worker.metrics import FIRST_TOKEN, QUEUE, TOKEN
from llm_worker.request import Conversation, Opening
from services.errors import InternalError, InvalidRequest


class Outbox:
    """Events on their way to the client. When full its writers wait, so a slow client slows its own answer."""

    def __init__(self, limit: int = 256) -> None:
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(limit)
        self._error: BaseException | None = None

    async def room(self) -> None:
        """Wait until one more event may be sent."""
        await self._room.acquire()

    def send(self, event: Event) -> None:
        """Hand over an event for which `room` was awaited."""
        self._events.put_nowait(event)

    async def put(self, event: Event) -> None:
        """`room`, then `send`."""
        await self.room()
        self.send(event)

    def close(self, error: BaseException | None = None) -> None:
        """No more events; readers get what is there, then `error`. The first call counts."""
        self._error = self._error or error
        self._events.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Event]:
        while (event := await self._events.get()) is not None:
            self._room.release()
            yield event
        if self._error is not None:
            raise self._error


class _Clock:
    """Times one generation and feeds the histograms. Times are of the monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._first = 0.0
        self._last = 0.0
        QUEUE.inc()

    def step(self) -> None:
        """A piece of the answer has come."""
        now = time.perf_counter()
        if self._first:
            TOKEN.observe(now - self._last)
        else:
            self._first = now
            FIRST_TOKEN.observe(now - self._began)
            QUEUE.dec()
        self._last = now

    def done(self, generation_id: int, reason: Reason, usage: Usage) -> Done:
        """The event that ends the generation. Called once."""
        first = self._first - self._began if self._first else 0.0
        return Done(generation_id, reason, usage, first, time.perf_counter() - self._began)

    def end(self) -> None:
        """Leave the queue if nothing ever came. Called once."""
        if not self._first:
            QUEUE.dec()


class Session:
    """Owns a Conversation and the task of its generation. Used as an async context manager; leaving it stops both."""

    def __init__(self, opening: Opening, limits: Limits, backend: Backend, outbox: Outbox) -> None:
        """Raises InvalidRequest, NotFound for a model."""
        self._conversation = Conversation(opening, limits)
        self._model = backend.resolve(opening.model)
        self._dialogue = backend.open()
        self._context_limit = backend.context_limit
        self._outbox = outbox
        self._task: asyncio.Task[None] | None = None
        self._clock: _Clock | None = None

    async def __aenter__(self) -> Self:
        try:
            usage = await self._dialogue.prefill(self._conversation.prompt())
            await self._outbox.put(Opened(self._model, usage, self._context_limit))
        except BaseException:
            self._dialogue.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._cancel()
        self._dialogue.close()

    async def apply(self, operation: Operation) -> None:
        """Carry out one operation. Raises InvalidRequest, and what the backend raises while it prefills."""
        match operation:
            case Opening():
                raise InvalidRequest("open", "sent twice; it is the first message of a stream, once")
            case Append(piece, provisional):
                self._conversation.append(piece, provisional)
                usage = await self._dialogue.prefill(self._conversation.prompt())
                await self._outbox.put(Prefilled(piece.id, usage.prompt_tokens))
            case Commit(message_id):
                self._conversation.commit(message_id)
            case Retract(message_id):
                stopped = self._conversation.retract(message_id)
                if stopped is not None:
                    await self._stopped(stopped)
                self._dialogue.follow(self._conversation.prompt())
            case Generate(generation_id, sampling):
                prompt = self._conversation.begin(generation_id, sampling)
                self._begin(generation_id, prompt)
            case Stop(generation_id):
                if self._conversation.stop(generation_id):
                    await self._stopped(generation_id)
            case Truncate(generation_id, keep):
                if self._conversation.running == generation_id:
                    self._conversation.stop(generation_id)
                    await self._stopped(generation_id)
                kept = self._conversation.truncate(generation_id, keep)
                self._dialogue.follow(self._conversation.prompt())
                await self._outbox.put(Truncated(generation_id, kept))

    async def finished(self) -> None:
        """Wait for the generation that runs, if any."""
        if self._task is not None:
            await asyncio.wait({self._task})

    @property
    def running(self) -> bool:
        """Whether an answer is being generated."""
        return self._conversation.running is not None

    def _begin(self, generation_id: int, prompt: Prompt) -> None:
        self._clock = clock = _Clock()
        self._task = asyncio.create_task(self._generate(generation_id, prompt, clock))
        self._task.add_done_callback(self._failed)

    def _failed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._outbox.close(error)

    async def _stopped(self, generation_id: int) -> None:
        """The conversation has ended the generation already; end its task too, and say so."""
        clock = self._clock
        await self._cancel()
        if clock is not None:
            await self._outbox.put(clock.done(generation_id, Reason.STOPPED, Usage()))

    async def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def _generate(self, generation_id: int, prompt: Prompt, clock: _Clock) -> None:
        try:
            async with aclosing(self._dialogue.generate(prompt)) as steps:
                async for step in steps:
                    # What is in the history has been sent, and the other way round: nothing waits in between.
                    await self._outbox.room()
                    self._outbox.send(self._record(generation_id, step, clock))
                    if isinstance(step, Finished):
                        return
            raise InternalError("the backend's answer had no end")
        finally:
            clock.end()

    def _record(self, generation_id: int, step: Step, clock: _Clock) -> Event:
        match step:
            case Delta(text, token_ids):
                clock.step()
                self._conversation.add_text(text, token_ids)
                return Text(generation_id, text, token_ids)
            case Call(name, arguments, token_ids):
                clock.step()
                return Asked(generation_id, self._conversation.add_call(name, arguments, token_ids))
            case Finished(reason, usage):
                self._conversation.finish()
                return clock.done(generation_id, reason, usage)
