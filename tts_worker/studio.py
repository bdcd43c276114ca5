"""Engines on their threads, and the streams that share them."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from services.engine import EngineThread
from services.errors import Unavailable
from tts_worker import metrics
from tts_worker.admission import Line, Places
from tts_worker.engine import FRAME_SECONDS, SAMPLE_RATE, Engine, EngineError, Piece, Utterance, Voice
from tts_worker.sound import Encoding, encode

SAMPLE_TEXT = "Hello! This is how I sound. May I help you?"
log = logging.getLogger(__name__)


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
    speech: Any
    """The engine's state; None before the first piece."""
    result: "asyncio.Future[tuple[Any, Piece, bytes]]"


class _Desk:
    """One engine, its thread, and the line in front of it."""

    def __init__(self, name: str, engine: Engine[Any]) -> None:
        self.line = Line()
        self.engine = engine
        self.thread = EngineThread(name)
        self._tickets: dict[Hashable, _Ticket] = {}
        self._asked = asyncio.Event()

    async def next_piece(self, stream: Hashable, ticket: _Ticket) -> tuple[Any, Piece, bytes]:
        self._tickets[stream] = ticket
        self.line.ask(stream, asyncio.get_running_loop().time())
        self._asked.set()
        return await ticket.result

    def leave(self, stream: Hashable) -> None:
        self.line.leave(stream)
        self._tickets.pop(stream, None)

    async def work(self) -> None:
        """Serve the line for ever."""
        while True:
            await self._asked.wait()
            chosen = self.line.pick(self.engine.batch)
            if not chosen:
                self._asked.clear()
                continue
            tickets = [self._tickets.pop(stream) for stream in chosen]
            try:
                answers = await self.thread.run(partial(_step, self.engine, tickets))
            except Exception as error:  # noqa: BLE001 - carried to the streams, which report it
                for ticket in tickets:
                    _settle(ticket.result, error)
                continue
            now = asyncio.get_running_loop().time()
            for stream, ticket, answer in zip(chosen, tickets, answers, strict=True):
                self.line.given(stream, answer[1].frames * FRAME_SECONDS, now)
                _settle(ticket.result, answer)


def _settle(result: "asyncio.Future[Any]", answer: Any) -> None:
    if result.done():  # its stream was cancelled
        return
    if isinstance(answer, Exception):
        result.set_exception(answer)
    else:
        result.set_result(answer)


def _step(engine: Engine[Any], tickets: Sequence[_Ticket]) -> list[tuple[Any, Piece, bytes]]:
    """One step, on the engine's thread; encoding too, as it is work of the same size for every stream."""
    began = time.perf_counter()
    speeches = [ticket.speech or engine.begin(ticket.utterance) for ticket in tickets]
    pieces = engine.step(speeches)
    answers = [
        (speech, piece, encode(piece.samples, ticket.format.rate, ticket.format.encoding))
        for speech, piece, ticket in zip(speeches, pieces, tickets, strict=True)
    ]
    metrics.STEP.observe(time.perf_counter() - began)
    return answers


class Seat:
    """A stream's place. Pieces are made when they are asked for: who does not ask holds up nobody."""

    def __init__(self, desk: _Desk, stream: Hashable, left: Callable[[], None]) -> None:
        self._desk = desk
        self._stream = stream
        self._left = left

    def leave(self) -> None:
        """Give the place back at once, whatever is under way. Leaving twice is no error."""
        self._desk.leave(self._stream)
        self._left()

    async def speak(self, utterance: Utterance, format_: Format) -> AsyncGenerator[tuple[Piece, bytes], None]:
        """The pieces of a phrase and their bytes, each made when it is asked for."""
        speech: Any = None
        last = False
        while not last:
            result: asyncio.Future[tuple[Any, Piece, bytes]] = asyncio.get_running_loop().create_future()
            ticket = _Ticket(utterance, format_, speech, result)
            speech, piece, data = await self._desk.next_piece(self._stream, ticket)
            last = piece.last
            yield piece, data


class Studio:
    """Owns engines and threads. Build it in the event loop; `start` before `enter`."""

    def __init__(self, build: Callable[[], Engine[Any]], threads: int, places: int) -> None:
        self._desks = tuple(_Desk(f"tts-engine-{i}", build()) for i in range(threads))
        self._places = Places(places, tuple(desk.line for desk in self._desks))
        self._workers: list[asyncio.Task[None]] = []
        self.samples: dict[str, bytes] = {}
        """A sentence by each voice, PCM_S16LE at 24000, once `start` has returned."""

    @property
    def model(self) -> str:
        """Name and version of the engine."""
        return self._desks[0].engine.model

    @property
    def voices(self) -> tuple[Voice, ...]:
        """Those that can be asked for."""
        return self._desks[0].engine.voices

    @property
    def streams(self) -> int:
        """Places that are taken."""
        return self._places.taken

    async def start(self) -> None:
        """Load the engines and let each speak once. Raises Unavailable with a line for the operator."""
        for desk in self._desks:
            try:
                await desk.thread.run(desk.engine.load)
            except EngineError as error:
                raise Unavailable(str(error)) from None
            self._workers.append(asyncio.create_task(desk.work()))
            for voice in self.voices:
                self.samples[voice.name] = await self._sample(desk, voice)
        log.info("engine loaded", extra={"model": self.model, "threads": len(self._desks)})

    async def _sample(self, desk: _Desk, voice: Voice) -> bytes:
        desk.line.enter(voice)
        seat = Seat(desk, voice, lambda: None)
        utterance = Utterance(SAMPLE_TEXT, voice.name, seed=0)
        try:
            async for _ in seat.speak(utterance, Format(8000, Encoding.MULAW)):
                pass  # what calls ask for is warm: network, dictionary, resampler
            full = Format(SAMPLE_RATE, Encoding.PCM_S16LE)
            return b"".join([data async for _, data in seat.speak(utterance, full)])
        finally:
            seat.leave()

    def enter(self) -> Seat:
        """A place, until `Seat.leave`. Raises Busy."""
        stream = object()
        desk = self._desks[self._places.enter(stream, asyncio.get_running_loop().time())]
        metrics.STREAMS.set(self.streams)
        return Seat(desk, stream, lambda: metrics.STREAMS.set(self.streams))

    async def close(self) -> None:
        """Finish the step under way and end the threads."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        for desk in self._desks:
            await desk.thread.close()
