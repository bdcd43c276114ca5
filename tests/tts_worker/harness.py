"""A speech worker behind a real gRPC server, in the test's own event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from protos import common_pb2, text_to_speech_pb2_grpc
from protos import text_to_speech_pb2 as pb
from services.server import Drain
from tts_worker.engine import Engine
from tts_worker.scripted import ScriptedEngine
from tts_worker.servicer import TextToSpeech
from tts_worker.studio import Studio


@dataclass
class Worker:
    """One that runs, and how to talk to it."""

    stub: Any  # the generated one is typed for the synchronous client
    studio: Studio
    drain: Drain

    async def say(self, *texts: str, first_id: int = 1, **options: Any) -> "Heard":
        """Speak the texts with the options of `open`; wait for the end."""
        phrases = [phrase(first_id + i, text) for i, text in enumerate(texts)]
        return await self.exchange([opening(**options), *phrases, pb.SynthesizeRequest(flush=pb.Flush())])

    async def exchange(self, requests: Sequence[pb.SynthesizeRequest]) -> "Heard":
        """Send the requests, take all responses. Raises AioRpcError. What follows `open` waits until that is accepted:
        gRPC masks the reason of a refusal while something is being written."""
        heard, accepted = Heard(), asyncio.Event()

        async def sending() -> AsyncIterator[pb.SynthesizeRequest]:
            first, *others = requests
            yield first
            await accepted.wait()
            for request in others:
                yield request

        async for response in self.stub.Synthesize(sending() if requests else iter(())):
            accepted.set()
            heard.take(response)
        return heard


@dataclass
class Heard:
    """What came back."""

    opened: pb.Opened | None = None
    audio: list[pb.Audio] = field(default_factory=list)
    draining: list[common_pb2.Draining] = field(default_factory=list)
    done: pb.Done | None = None

    def take(self, response: pb.SynthesizeResponse) -> None:
        match response.WhichOneof("message"):
            case "opened":
                self.opened = response.opened
            case "audio":
                self.audio.append(response.audio)
            case "draining":
                self.draining.append(response.draining)
            case "done":
                self.done = response.done

    def sound(self, phrase_id: int | None = None) -> bytes:
        return b"".join(a.data for a in self.audio if phrase_id in (None, a.phrase_id))


def opening(**options: Any) -> pb.SynthesizeRequest:
    """`open` at 8000 in PCM, unless the options say otherwise."""
    defaults = {"sample_rate": 8000, "encoding": common_pb2.ENCODING_PCM_S16LE}
    return pb.SynthesizeRequest(open=pb.Open(**defaults | options))


def phrase(phrase_id: int, text: str) -> pb.SynthesizeRequest:
    return pb.SynthesizeRequest(phrase=pb.Phrase(phrase_id=phrase_id, text=text))


def assert_spans_cover(audio: Sequence[pb.Audio], text: str) -> None:
    """The contract of `Audio` for the messages of one phrase."""
    position = 0
    for index, message in enumerate(audio):
        assert message.span_start == position
        assert message.span_end >= position
        position = message.span_end
        assert message.last_of_phrase == (index + 1 == len(audio))
    assert position == len(text)


@asynccontextmanager
async def running(
    build: Callable[[], Engine[Any]] = ScriptedEngine, places: int = 8, threads: int = 1
) -> AsyncIterator[Worker]:
    """A worker with that engine, warm."""
    studio = Studio(build, threads, places)
    drain = Drain()
    server = grpc.aio.server()
    text_to_speech_pb2_grpc.add_TextToSpeechServicer_to_server(TextToSpeech(studio, drain, "test"), server)
    port = server.add_insecure_port("127.0.0.1:0")
    try:
        await studio.start()
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Worker(text_to_speech_pb2_grpc.TextToSpeechStub(channel), studio, drain)
    finally:
        await server.stop(0)
        await studio.close()
