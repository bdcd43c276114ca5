"""Engines on their threads, and the streams that share them."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Hashable
from typing import Any

from services.errors import Unavailable
from tts_worker import metrics
from tts_worker.admission import Places
from tts_worker.casting import Company
from tts_worker.desk import Desk, Format
from tts_worker.engine import SAMPLE_RATE, Engine, EngineError, Piece, Utterance, Voice
from tts_worker.sound import Encoding

SAMPLE_TEXT = "Hello! This is how I sound. May I help you?"
log = logging.getLogger(__name__)


class Seat:
    """A stream's place. Pieces are made when they are asked for: who does not ask holds up nobody."""

    def __init__(self, desk: Desk, stream: Hashable, left: Callable[[], None]) -> None:
        self._desk = desk
        self._stream = stream
        self._left = left

    def leave(self) -> None:
        """Give the place back at once, whatever is under way. Leaving twice is no error."""
        self._desk.leave(self._stream)
        self._left()

    async def speak(self, utterance: Utterance, format_: Format) -> AsyncGenerator[tuple[Piece, bytes], None]:
        """The pieces of a phrase and their bytes, each made when it is asked for."""
        last = False
        while not last:
            piece, data = await self._desk.next_piece(self._stream, utterance, format_)
            last = piece.last
            yield piece, data


class Studio:
    """Owns engines and threads. Build it in the event loop; `start` before `enter`."""

    def __init__(self, build: Callable[[], Engine[Any]], threads: int, places: int) -> None:
        self._desks = tuple(Desk(f"tts-engine-{i}", build()) for i in range(threads))
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
    def company(self) -> Company:
        """What streams are cast from, once `start` has returned."""
        return Company(self.model, self.voices, self._desks[0].engine.clones)

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

    async def _sample(self, desk: Desk, voice: Voice) -> bytes:
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
