"""Engines on their threads, and the streams that share them."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import aclosing
from typing import Any

from services.errors import ServiceError, Unavailable
from services.telemetry import Plain
from tts_worker import metrics, samples
from tts_worker.admission import Places
from tts_worker.casting import Company
from tts_worker.desk import Desk, Format
from tts_worker.engine import FRAME_SECONDS, Engine, EngineError, Piece, Utterance, Voice
from tts_worker.sound import Encoding

log = logging.getLogger(__name__)
_PHONE = Format(8000, Encoding.MULAW)
_TOGETHER = 4
"""Phrases that are spoken at the same time before the first is asked for."""


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
        """A sentence by each voice, PCM_S16LE at `samples.RATE`, once `start` has returned."""

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
        """Load the engines, let each speak once, then some phrases together where it can, and the first one with all
        voices, as many at a time as it takes. Raises Unavailable with a line for the operator."""
        for desk in self._desks:
            try:
                await desk.thread.run(desk.engine.load)
            except EngineError as error:
                raise Unavailable(str(error)) from None
            self._workers.append(asyncio.create_task(desk.work()))
            # What calls ask for is warm: network, dictionary, resampler.
            await _sample(desk, self.voices[0], _PHONE)
            if desk.line.step_time is not None:
                # What one more costs is known before the first callers come, who may be many.
                together = (_sample(desk, self.voices[0], _PHONE) for _ in range(min(_TOGETHER, desk.engine.batch)))
                await asyncio.gather(*together)
        first = self._desks[0]
        places = asyncio.Semaphore(first.engine.batch)

        async def keep_sample(voice: Voice) -> None:
            async with places:
                sound = await _sample(first, voice, Format(samples.RATE, Encoding.PCM_S16LE))
                self.samples[voice.name] = sound[: round(samples.SECONDS * samples.RATE) * 2]

        await asyncio.gather(*map(keep_sample, self.voices))
        log.info("engine loaded", extra={"model": Plain(self.model), "threads": len(self._desks)})

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


async def _sample(desk: Desk, voice: Voice, format_: Format) -> bytes:
    """How the voice sounds, at least `samples.SECONDS` of it if it talks so long. Raises Unavailable."""
    stream = object()
    desk.line.enter(stream)
    seat = Seat(desk, stream, lambda: None)
    language = voice.languages[0]
    utterance = Utterance(samples.sample_text(language), voice.name, seed=0, language=language)
    sound, seconds = b"", 0.0
    try:
        async with aclosing(seat.speak(utterance, format_)) as pieces:
            async for piece, data in pieces:
                sound, seconds = sound + data, seconds + piece.frames * FRAME_SECONDS
                if seconds >= samples.SECONDS:
                    break
    except ServiceError as error:
        raise Unavailable(f"voice {voice.name} cannot speak: {error}") from None
    finally:
        seat.leave()
    return sound
