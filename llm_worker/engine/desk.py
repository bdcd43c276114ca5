"""Conversations in front of one engine thread: what they want, step after step, and what comes of it.

The event loop decides (`Scheduler`), the thread computes (`Runner`). What clients do while a step is under way takes
effect at once in the books and in the next step on the device; a token that is drawn for an answer which has been
stopped meanwhile is dropped.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, Protocol, TypeVar

from torch import Tensor

from llm_worker.backends import Call, Delta, Finished, Reason, Step, Usage
from llm_worker.engine.blocks import Blocks
from llm_worker.engine.conversation import Context
from llm_worker.engine.runner import BROKEN, Runner
from llm_worker.engine.scheduler import Load, Plan, Scheduler, Stream, Urgency
from llm_worker.metrics import CACHE_TOKENS
from services.engine import EngineThread
from services.errors import InternalError, ServiceError

AHEAD = 64
"""Pieces that an answer may be ahead of who reads it; then it waits."""
log = logging.getLogger(__name__)


class Reading(Protocol):
    """How one answer is drawn and read, token by token."""

    @property
    def ended(self) -> Reason | None:
        """Why the answer is over, if it is."""
        ...

    @property
    def problem(self) -> ServiceError | None:
        """Why it cannot go on, if it cannot; found while a token was drawn, which is of no account then."""
        ...

    def take(self, token: int) -> Sequence[Delta | Call]:
        """What the next token makes ready to be sent."""
        ...

    def close(self) -> Sequence[Delta | Call]:
        """What was held back, now that no more tokens come."""
        ...


R = TypeVar("R", bound=Reading)
Drawing = Callable[[Tensor, Sequence[R]], Tensor]
"""Logits [N, vocabulary], float32, and the readings they are for → tokens [N]. On the engine's thread."""


@dataclass(eq=False)
class _Answer(Generic[R]):
    """One that is under way."""

    reading: R
    prompt_tokens: int
    cached_tokens: int
    most: int
    generated: int = 0
    waiting: "deque[Step | Exception]" = field(default_factory=deque)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, *items: "Step | Exception") -> None:
        """For who reads."""
        self.waiting.extend(items)
        self.news.set()

    def finished(self, reason: Reason) -> Finished:
        """The last step."""
        return Finished(reason, Usage(self.prompt_tokens, self.cached_tokens, self.generated))


class Seat(Generic[R]):
    """One conversation at the desk."""

    def __init__(self, desk: "Desk[R]", blocks: Blocks) -> None:
        self.stream = Stream(Context(blocks))
        self.answer: _Answer[R] | None = None
        self.computed: asyncio.Future[None] | None = None
        self._desk = desk

    async def prefill(self, ids: Sequence[int], urgency: Urgency) -> int:
        """Have `ids` computed. Returns how many of them were in the cache. Raises Busy, InternalError."""
        context = self.stream.context
        context.follow(ids)
        context.adopt()
        cached = context.computed
        if not context.pending:
            self._desk.keep(self)
            return cached
        self._desk.want(self, urgency)
        self.computed = asyncio.get_running_loop().create_future()
        try:
            await self.computed
        finally:
            self.computed = None
        return cached

    def follow(self, ids: Sequence[int]) -> None:
        """`ids` are what is left: others leave the cache."""
        self.stream.context.follow(ids)

    async def generate(self, ids: Sequence[int], reading: R, most: int) -> AsyncGenerator[Step, None]:
        """The answer to `ids`, of at most so many tokens. Raises Busy, InternalError."""
        self.stream.context.follow(ids)
        self._desk.want(self, Urgency.ANSWER, answering=True)
        self.answer = answer = _Answer(reading, len(ids), self.stream.context.computed, most)
        try:
            while True:
                while not answer.waiting:
                    answer.news.clear()
                    await answer.news.wait()
                step = answer.waiting.popleft()
                if self.stream.paused and len(answer.waiting) <= AHEAD // 2:
                    self._desk.resume(self)
                if isinstance(step, Exception):
                    raise step
                yield step
                if isinstance(step, Finished):
                    return
        finally:
            self.answer = None
            self._desk.rest(self)

    def close(self) -> None:
        """Leave; the blocks are free in the next step. May be called again."""
        self._desk.leave(self)


class Desk(Generic[R]):
    """Owns the engine's thread. Build it in the event loop; `start` before anything is wanted."""

    def __init__(self, blocks: Blocks, draw: Drawing[R], load: Load | None = None) -> None:
        self.blocks = blocks
        self.thread = EngineThread("llm-engine")
        self._scheduler = Scheduler(blocks, load or Load())
        self._draw = draw
        self._seats: dict[Stream, Seat[R]] = {}  # of streams of which something is wanted
        self._news = asyncio.Event()
        self._runner: Runner | None = None
        self._worker: asyncio.Task[None] | None = None
        self.computed_tokens = 0
        """So far, those of prompts and of answers."""

    async def start(self, build: Callable[[], Runner]) -> None:
        """Build the runner on the thread that will own it, and begin to work. Raises what `build` raises."""
        self._runner = await self.thread.run(build)
        self._worker = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Finish the step under way and end the thread."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])
        await self.thread.close()

    def seat(self) -> Seat[R]:
        """A place for a conversation; it holds nothing yet."""
        return Seat(self, self.blocks)

    # -- what seats say ----------------------------------------------------------------------------------------------

    def want(self, seat: Seat[R], urgency: Urgency, answering: bool = False) -> None:
        """Have the seat's tokens computed, and then the next ones drawn. Raises Busy."""
        self._scheduler.wants(seat.stream, urgency, answering)
        self._seats[seat.stream] = seat
        self._news.set()

    def resume(self, seat: Seat[R]) -> None:
        """There is room for more of the answer."""
        seat.stream.paused = False
        self._news.set()

    def rest(self, seat: Seat[R]) -> None:
        """Nothing more is wanted; the conversation goes on later."""
        if self._seats.pop(seat.stream, None):
            self._scheduler.rest(seat.stream)

    def keep(self, seat: Seat[R]) -> None:
        """Everything is in the cache already; the conversation goes on later."""
        self._scheduler.rest(seat.stream)

    def leave(self, seat: Seat[R]) -> None:
        """The conversation is over."""
        self._seats.pop(seat.stream, None)
        self._scheduler.leave(seat.stream)

    # -- steps -------------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            try:
                await self._turn()
            except Exception as error:  # a bug; carried to the conversations, which report it
                log.error("a step failed", exc_info=error)
                for stream in list(self._seats):
                    stream.context.fail()
                    self._fail(stream, InternalError("a step of the engine failed; the worker's log has the traceback"))

    async def _turn(self) -> None:
        """One step, or the wait for something to do."""
        plan = self._scheduler.plan()
        self._settle()
        if plan is None:
            self._news.clear()
            await self._news.wait()
            return
        drawn = [row for row in plan.rows if row.draw]
        answers = [self._seats[row.stream].answer for row in drawn]
        readings = [answer.reading for answer in answers if answer is not None]
        tokens, seconds = await self.thread.run(partial(self._compute, plan, readings))
        self._scheduler.done(plan, seconds)
        self.computed_tokens += sum(len(row.ids) for row in plan.rows)
        for row, answer, token in zip(drawn, answers, tokens, strict=True):
            seat = self._seats.get(row.stream)
            if seat is not None and answer is not None and seat.answer is answer:
                self._take(seat, answer, token)
        self._settle()
        CACHE_TOKENS.set(self.blocks.used * self.blocks.size)

    def _compute(self, plan: Plan, readings: Sequence[R]) -> tuple[list[int], float]:
        """One step, on the engine's thread, and its seconds."""
        assert self._runner is not None
        began = time.perf_counter()
        tokens = self._runner.step(plan, lambda logits, rows: self._draw(logits, readings))
        return tokens, time.perf_counter() - began

    def _take(self, seat: Seat[R], answer: _Answer[R], token: int) -> None:
        """A token has been drawn for an answer."""
        if (problem := answer.reading.problem) is not None:
            self._fail(seat.stream, problem)
            return
        if token == BROKEN:
            log.error("an answer had numbers that are not finite")
            self._fail(seat.stream, InternalError("the model's numbers are not finite; the answer cannot go on"))
            return
        seat.stream.context.extend(token)
        answer.generated += 1
        answer.put(*answer.reading.take(token))
        reason = answer.reading.ended or (Reason.LENGTH if answer.generated >= answer.most else None)
        if reason is not None:
            answer.put(*answer.reading.close(), answer.finished(reason))
            self.rest(seat)
        elif len(answer.waiting) >= AHEAD:
            seat.stream.paused = True

    def _settle(self) -> None:
        """Tell those that wait for no more than their prompt."""
        for stream in [stream for stream in self._seats if stream.complete]:
            seat = self._seats[stream]
            self.rest(seat)
            if seat.computed is not None and not seat.computed.done():
                seat.computed.set_result(None)

    def _fail(self, stream: Stream, error: Exception) -> None:
        """The conversation cannot go on; what it had in the cache is given up."""
        seat = self._seats.get(stream)
        if seat is None:
            return
        self.leave(seat)
        if seat.answer is not None:
            seat.answer.put(error)
        elif seat.computed is not None and not seat.computed.done():
            seat.computed.set_exception(error)
