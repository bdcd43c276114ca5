"""A client of the recogniser for tests, sound that counts as speech, and a worker behind a real socket."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np

from protos import common_pb2
from protos import speech_to_text_pb2 as pb
from protos import speech_to_text_pb2_grpc as pb_grpc
from services.server import Drain
from stt_worker.config import SttSettings
from stt_worker.engine import Decoding, Engine, Utterance
from stt_worker.listener import Pool
from stt_worker.pool import DecoderPool
from stt_worker.scripted import ScriptedEngine
from stt_worker.servicer import Ready, Recognizer
from stt_worker.sound import Pcm
from tests.waiting import LONG

RATE = 8000
FINAL = pb.TRANSCRIPT_KIND_FINAL
SPECULATIVE = pb.TRANSCRIPT_KIND_SPECULATIVE
PCM = common_pb2.ENCODING_PCM_S16LE


def speech(seconds: float, rate: int = RATE) -> Pcm:
    """Noise at -20 dB: loud enough to be taken for speech."""
    return np.random.default_rng(1).normal(0, 3277, int(seconds * rate)).clip(-32768, 32767).astype(np.int16)


def silence(seconds: float, rate: int = RATE) -> Pcm:
    """Zeros."""
    return np.zeros(int(seconds * rate), np.int16)


class Phone:
    """One stream, as the agent would hold it."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self.position = 0

    async def open(self, **fields: Any) -> pb.Opened:
        """Send `open` and take `opened`."""
        settings = {"sample_rate": RATE, "encoding": PCM} | fields
        await self.send(open=pb.Open(**settings))
        response = await self.read()
        assert response is not None
        return response.opened

    async def send(self, **message: Any) -> None:
        """Any one message."""
        await self._call.write(pb.RecognizeRequest(**message))

    async def say(self, samples: Pcm, chunk: int = 800) -> None:
        """Samples from the current position on, in chunks."""
        for first in range(0, len(samples), chunk):
            part = samples[first : first + chunk]
            await self.send(audio=pb.Audio(first_sample=self.position, data=part.tobytes()))
            self.position += len(part)

    async def ask(self, request_id: int, kind: pb.TranscriptKind, through: int | None = None) -> None:
        """Ask for the transcript, up to the current position unless told."""
        end = self.position if through is None else through
        await self.send(transcribe=pb.Transcribe(request_id=request_id, through_sample=end, kind=kind))

    async def read(self) -> pb.RecognizeResponse | None:
        """The next response; None at the end. Raises AioRpcError."""
        response = await self._call.read()
        return None if response is grpc.aio.EOF else response

    async def transcript(self) -> pb.Transcript:
        """The next transcript, whatever comes before it."""
        while response := await self.read():
            if response.WhichOneof("message") == "transcript":
                return response.transcript
        raise AssertionError("the stream ended without a transcript")

    def cancel(self) -> None:
        """Vanish."""
        self._call.cancel()

    async def hang_up(self) -> None:
        """Close the client's side."""
        await self._call.done_writing()

    async def failure(self) -> tuple[grpc.StatusCode, str]:
        """Status and text that the stream ends with."""
        with contextlib.suppress(grpc.aio.AioRpcError):
            while await self._call.read() is not grpc.aio.EOF:
                pass
        return await self._call.code(), await self._call.details()

    async def trailers(self) -> dict[str, str]:
        """Metadata after the end."""
        return dict(await self._call.trailing_metadata())


class HeldEngine(ScriptedEngine):
    """Decodes nothing until it is released."""

    def __init__(self) -> None:
        super().__init__(SttSettings(engine="scripted"))
        self.begun = threading.Semaphore(0)
        """One for each decode that has begun."""
        self.released = threading.Event()

    def decode(self, utterance: Utterance, give_up: Callable[[], bool]) -> Decoding | None:
        """The scripted answer, when it is let."""
        self.begun.release()
        assert self.released.wait(LONG)
        return super().decode(utterance, give_up)

    async def busy(self) -> None:
        """Wait until another decode has begun."""
        assert await asyncio.to_thread(self.begun.acquire, timeout=LONG)


class Worker:
    """A served recogniser."""

    def __init__(self, channel: grpc.aio.Channel, drain: Drain, pool: Pool) -> None:
        self._stub: Any = pb_grpc.SpeechToTextStub(channel)
        self.drain = drain
        self.pool = pool

    def phone(self) -> Phone:
        """A new stream, not opened yet."""
        return Phone(self._stub.Recognize())

    async def call(self, **fields: Any) -> Phone:
        """A new stream, opened."""
        phone = self.phone()
        await phone.open(**fields)
        return phone


@asynccontextmanager
async def worker(engine: Engine | None = None, **settings: Any) -> AsyncIterator[Worker]:
    """The real servicer behind a real socket; the scripted engine unless told."""
    drain = Drain()
    chosen = SttSettings(**({"engine": "scripted", "decoders": 1} | settings))
    servicer = Recognizer(chosen, drain, worker_id="test")
    pool: Pool = DecoderPool(chosen.decoders, chosen.max_waiting)
    servicer.ready = Ready(engine or ScriptedEngine(chosen), pool)
    server = grpc.aio.server()
    pb_grpc.add_SpeechToTextServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel, asyncio.timeout(2 * LONG):
            yield Worker(channel, drain, pool)
    finally:
        await server.stop(0)
        await pool.close()
