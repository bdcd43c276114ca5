"""A worker as small as one can be, for the tests of its life: `python -m tests.services.example_server`.

It waits for a line on stdin before it is warm. `phrase` is answered; `flush` ends the stream. When the process drains,
streams are told.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from protos import common_pb2
from protos import text_to_speech_pb2 as pb
from protos import text_to_speech_pb2_grpc as pb_grpc
from services.errors import NotFound, translated
from services.server import Drain, Service, run
from services.settings import ServiceSettings

NAME = "trunkline.text_to_speech.v1.TextToSpeech"


class ExampleSettings(ServiceSettings):
    prefix: ClassVar[str] = "TRUNKLINE_EXAMPLE_"

    warm_up: str = "line"


class Servicer(pb_grpc.TextToSpeechServicer):
    def __init__(self, drain: Drain) -> None:
        self._drain = drain

    @translated
    async def Synthesize(self, requests: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        out: asyncio.Queue[Any] = asyncio.Queue()

        async def read() -> None:
            async for request in requests:
                out.put_nowait(None if request.HasField("flush") else pb.SynthesizeResponse(audio=pb.Audio()))

        async def watch() -> None:
            await self._drain.started.wait()
            draining = common_pb2.Draining(deadline_seconds=self._drain.remaining())
            out.put_nowait(pb.SynthesizeResponse(draining=draining))

        tasks = [asyncio.create_task(read()), asyncio.create_task(watch())]
        try:
            yield pb.SynthesizeResponse(opened=pb.Opened(model="example"))
            while (response := await out.get()) is not None:
                yield response
        finally:
            for task in tasks:
                task.cancel()

    @translated
    async def ListVoices(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ListVoicesResponse(voices=[pb.Voice(name="one")])


def build(settings: ExampleSettings, drain: Drain) -> Service:
    async def warm_up() -> None:
        match settings.warm_up:
            case "missing":
                raise NotFound("no model in /models/none; set TRUNKLINE_EXAMPLE_MODEL")
            case "bug":
                raise ZeroDivisionError("for +49301234567")
            case "line":
                await asyncio.to_thread(sys.stdin.readline)

    async def close() -> None:
        sys.stdout.write("closed\n")

    return Service(
        NAME, lambda server: pb_grpc.add_TextToSpeechServicer_to_server(Servicer(drain), server), warm_up, close
    )


if __name__ == "__main__":
    settings = ExampleSettings.read_or_exit()
    run(settings, lambda drain: build(settings, drain))
