"""One stream from its first command to `Done`: reads ahead, speaks phrase by phrase, tells when the worker drains."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from services.errors import InvalidRequest
from services.server import Drain
from tts_worker import metrics
from tts_worker.casting import Casting, Open, cast
from tts_worker.desk import Format
from tts_worker.engine import FRAME_SECONDS
from tts_worker.request import Audio, Command, Flush, Order, Phrase, Recital, Stream
from tts_worker.sound import Encoding
from tts_worker.studio import Seat, Studio


@dataclass(frozen=True)
class Opened:
    """The stream has a place."""

    casting: Casting


@dataclass(frozen=True)
class Sounding:
    """An audio message and its bytes."""

    audio: Audio
    data: bytes
    first_sample: int
    """Within the phrase, at the stream's rate."""


@dataclass(frozen=True)
class Leaving:
    """The worker drains; seconds until the stream is cut."""

    seconds: float


@dataclass(frozen=True)
class Done:
    """Everything was spoken. Seconds."""

    audio: float
    first_audio: float
    total: float


Event = Opened | Sounding | Leaving | Done


class Session:
    """Runs one stream. Nothing is made before the consumer of `run` asks for it, so a client that does not read
    stops its own stream only."""

    def __init__(self, studio: Studio, drain: Drain, default_seed: int) -> None:
        self._studio = studio
        self._drain = drain
        self._default_seed = default_seed
        self._seat: Seat | None = None
        self._listener: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._told_to_leave = False
        self._clock = _Clock()

    async def run(self, commands: AsyncIterator[Command]) -> AsyncGenerator[Event, None]:
        """The stream's events. Raises ServiceError."""
        first = await anext(commands, None)
        if not isinstance(first, Open):
            raise InvalidRequest("open", "must be the first message of a stream")
        casting = cast(first, self._studio.company, self._default_seed)
        self._seat = self._studio.enter()
        try:
            yield Opened(casting)
            stream = Stream(casting)
            recital = self._recite(stream, casting, self._seat)
            async with self._listening(commands, stream), aclosing(recital) as events:
                async for event in events:
                    yield event
            yield self._clock.done()
        finally:
            self.close()

    def close(self) -> None:
        """Free the stream's place, also while its consumer is stuck. May be called again."""
        if self._seat is not None:
            self._seat.leave()

    async def _recite(self, stream: Stream, casting: Casting, seat: Seat) -> AsyncGenerator[Event, None]:
        """Speak what comes until nothing more can come."""
        while not stream.finished:
            if order := stream.next():
                self._room.set()
                async with aclosing(self._speak(order, casting, seat)) as sounds:
                    async for event in sounds:
                        yield event
            elif leaving := self._leaving():
                yield leaving
            else:
                self._news.clear()
                await self._news.wait()
            self._raise_what_the_listener_met()

    async def _speak(self, order: Order, casting: Casting, seat: Seat) -> AsyncGenerator[Event, None]:
        """One phrase, message by message."""
        recital = Recital(order, casting)
        size = casting.frame_samples * (2 if casting.encoding is Encoding.PCM_S16LE else 1)
        async with aclosing(seat.speak(order.utterance, Format(casting.rate, casting.encoding))) as pieces:
            async for piece, data in pieces:
                for audio in recital.messages(piece):
                    self._raise_what_the_listener_met()
                    if leaving := self._leaving():
                        yield leaving
                    self._clock.sounded()
                    start = audio.piece_frame * size
                    yield Sounding(audio, data[start : start + size], audio.frame * casting.frame_samples)

    @asynccontextmanager
    async def _listening(self, commands: AsyncIterator[Command], stream: Stream) -> AsyncIterator[None]:
        """Take commands, and look out for the drain, in the background."""
        self._listener = asyncio.create_task(self._listen(commands, stream))
        self._listener.add_done_callback(lambda _: self._news.set())
        drain = asyncio.create_task(self._drain.started.wait())
        drain.add_done_callback(lambda _: self._news.set())
        try:
            yield
        finally:
            tasks = (self._listener, drain)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, commands: AsyncIterator[Command], stream: Stream) -> None:
        async for command in commands:
            while stream.full:  # the client's writes wait in turn
                self._room.clear()
                await self._room.wait()
            if isinstance(command, Phrase):
                self._clock.phrase_came()
            stream.take(command)
            self._news.set()
        stream.take(Flush())  # closing the request side says the same

    def _raise_what_the_listener_met(self) -> None:
        if self._listener is not None and self._listener.done():
            self._listener.result()

    def _leaving(self) -> Leaving | None:
        """Once, when the worker has begun to drain."""
        if self._told_to_leave or not self._drain.started.is_set():
            return None
        self._told_to_leave = True
        return Leaving(self._drain.remaining())


class _Clock:
    """Times of a stream, for `Done` and the metrics."""

    def __init__(self) -> None:
        self._first_phrase = 0.0
        self._first_audio = 0.0
        self._frames = 0

    def phrase_came(self) -> None:
        self._first_phrase = self._first_phrase or time.monotonic()

    def sounded(self) -> None:
        self._frames += 1
        if not self._first_audio:
            self._first_audio = time.monotonic()
            metrics.FIRST_AUDIO.observe(self._first_audio - self._first_phrase)

    def done(self) -> Done:
        now = time.monotonic()
        return Done(
            audio=self._frames * FRAME_SECONDS,
            first_audio=self._first_audio - self._first_phrase if self._first_audio else 0.0,
            total=now - self._first_phrase if self._first_phrase else 0.0,
        )
