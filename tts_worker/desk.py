"""One engine, its thread, and the streams that want something of it."""

import asyncio
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from services.engine import EngineThread
from services.errors import ServiceError
from tts_worker import metrics
from tts_worker.admission import Line, StepTime
from tts_worker.engine import FRAME_SECONDS, Engine, Piece, Utterance
from tts_worker.sound import Encoding, encode


@dataclass(frozen=True)
class Format:
    """What a stream's bytes are."""

    rate: int
    encoding: Encoding


@dataclass
class _Ticket:
    """A request for the next piece of a phrase."""

    utterance: Utterance
    format: Format
    result: "asyncio.Future[tuple[Piece, bytes]]"


@dataclass(frozen=True)
class _Round:
    """What the thread is to do: phrases to begin and to go on with, and those that nobody wants any more."""

    tickets: Sequence[_Ticket]
    speeches: Sequence[Any]
    """Of the tickets; None where the phrase begins."""
    dropped: Sequence[Any]


Answer = tuple[Piece, bytes] | ServiceError | None


class Desk:
    """Serves whoever asks, the most urgent first, as many at a time as the engine takes.

    An engine that carries all phrases on together makes the next piece of each before it is asked for, so that no
    stream sits out a step while its last piece is on its way; but only one, which waits for its reader.
    """

    def __init__(self, name: str, engine: Engine[Any]) -> None:
        self.line = Line(StepTime() if engine.batch > 1 else None)
        self.engine = engine
        self.thread = EngineThread(name)
        self._tickets: dict[Hashable, _Ticket] = {}  # asked, and not under way
        self._active: dict[Hashable, _Ticket] = {}  # under way: their piece takes several steps
        self._ahead: dict[Hashable, _Ticket] = {}  # under way or made, and not asked for
        self._speeches: dict[Hashable, Any] = {}  # phrases that the engine has begun
        self._dropped: list[Any] = []
        self._news = asyncio.Event()

    async def next_piece(self, stream: Hashable, utterance: Utterance, format_: Format) -> tuple[Piece, bytes]:
        """The next piece of the stream's phrase and its bytes. Raises what the engine raised."""
        if ahead := self._ahead.pop(stream, None):
            if ahead.result.done():
                self._go_ahead(stream, ahead)
            return await ahead.result
        ticket = self._tickets[stream] = _ticket(utterance, format_)
        self.line.ask(stream, asyncio.get_running_loop().time())
        self._news.set()
        return await ticket.result

    def leave(self, stream: Hashable) -> None:
        """Forget the stream; what it holds in the engine is freed before the next step."""
        self.line.leave(stream)
        self._tickets.pop(stream, None)
        self._active.pop(stream, None)
        if (ahead := self._ahead.pop(stream, None)) and not ahead.result.cancel():
            ahead.result.exception()  # nobody will look at it
        self._drop(stream)

    def _drop(self, stream: Hashable) -> None:
        if stream in self._speeches:
            self._dropped.append(self._speeches.pop(stream))
            self._news.set()

    async def work(self) -> None:
        """Serve for ever."""
        while True:
            await self._news.wait()
            for stream in self.line.pick(self.engine.batch - len(self._active)):
                self._active[stream] = self._tickets.pop(stream)
            dropped, self._dropped = self._dropped, []
            if not self._active and not dropped:
                self._news.clear()
                continue
            await self._round(dict(self._active), dropped)

    async def _round(self, chosen: dict[Hashable, _Ticket], dropped: list[Any]) -> None:
        tickets = list(chosen.values())
        speeches = [self._speeches.get(stream) for stream in chosen]
        begun = all(speech is not None for speech in speeches)  # else there are prompts to read, too
        try:
            speeches, answers, took = await self.thread.run(
                partial(_step, self.engine, _Round(tickets, speeches, dropped))
            )
        except Exception as error:  # noqa: BLE001 - carried to the streams, which report it
            for stream, ticket in chosen.items():
                self._active.pop(stream, None)
                _settle(ticket, error)
            return
        if self.line.step_time is not None and begun and tickets:
            self.line.step_time.observe(len(tickets), took)
        now = asyncio.get_running_loop().time()
        for stream, speech, answer in zip(chosen, speeches, answers, strict=True):
            self._take(stream, chosen[stream], speech, answer, now)

    def _take(self, stream: Hashable, ticket: _Ticket, speech: Any, answer: Answer, now: float) -> None:
        """What has come of a stream's ticket."""
        over = isinstance(answer, ServiceError) or (answer is not None and answer[0].last)
        if over:
            self._speeches.pop(stream, None)
        else:
            self._speeches[stream] = speech
        if self._active.get(stream) is not ticket:  # it has left meanwhile
            self._drop(stream)
        elif answer is not None:
            del self._active[stream]
            if not isinstance(answer, ServiceError):
                self.line.given(stream, answer[0].frames * FRAME_SECONDS, now)
            if self._ahead.get(stream) is not ticket:
                self._go_ahead(stream, ticket)
            _settle(ticket, answer)

    def _go_ahead(self, stream: Hashable, ticket: _Ticket) -> None:
        """`ticket` is being taken: if its phrase goes on, so does the engine."""
        if self.line.step_time is not None and stream in self._speeches:
            self._active[stream] = self._ahead[stream] = _ticket(ticket.utterance, ticket.format)
            self._news.set()


def _ticket(utterance: Utterance, format_: Format) -> _Ticket:
    return _Ticket(utterance, format_, asyncio.get_running_loop().create_future())


def _settle(ticket: _Ticket, answer: tuple[Piece, bytes] | Exception) -> None:
    if ticket.result.done():  # its stream was cancelled
        return
    if isinstance(answer, Exception):
        ticket.result.set_exception(answer)
    else:
        ticket.result.set_result(answer)


def _step(engine: Engine[Any], work: _Round) -> tuple[list[Any], list[Answer], float]:
    """One step, on the engine's thread, and its seconds; encoding too, as it is work of the same size for every
    stream."""
    began = time.perf_counter()
    for speech in work.dropped:
        engine.end(speech)
    speeches: list[Any] = list(work.speeches)
    answers: list[Answer] = [None] * len(speeches)
    for index, ticket in enumerate(work.tickets):
        if speeches[index] is None:
            try:
                speeches[index] = engine.begin(ticket.utterance)
            except ServiceError as error:
                answers[index] = error
    going = [index for index, answer in enumerate(answers) if answer is None]
    made = engine.step([speeches[index] for index in going]) if going else []
    for index, piece in zip(going, made, strict=True):
        answers[index] = _encoded(piece, work.tickets[index].format) if isinstance(piece, Piece) else piece
    took = time.perf_counter() - began
    metrics.STEP.observe(took)
    return speeches, answers, took


def _encoded(piece: Piece, format_: Format) -> tuple[Piece, bytes]:
    return piece, encode(piece.samples, format_.rate, format_.encoding, piece.before)
