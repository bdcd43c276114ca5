"""A real gRPC server with the worker's servicer, and a client that is easy to read in tests."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
import pytest

from llm_worker.backends import Backend
from llm_worker.config import LlmSettings
from llm_worker.servicer import LanguageModelServicer
from protos import language_model_pb2 as pb
from protos import language_model_pb2_grpc as pb_grpc
from services.server import Drain
from tests.waiting import LONG

ROLES = {"system": pb.ROLE_SYSTEM, "user": pb.ROLE_USER, "assistant": pb.ROLE_ASSISTANT, "tool": pb.ROLE_TOOL}


class Talk:
    """One Converse stream."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def send(self, **message: Any) -> None:
        """E.g. `send(generate=pb.Generate(generation_id=2))`."""
        await self._call.write(pb.ConverseRequest(**message))

    async def open(self, history: Iterable[pb.Message] = (), **fields: Any) -> pb.Opened:
        await self.send(open=pb.Open(history=history, **fields))
        return (await self.read("opened")).opened

    async def say(
        self, message_id: int, text: str, provisional: bool = False, role: str = "user", call: str = ""
    ) -> None:
        """Append, and wait until it is prefilled."""
        await self.send(
            append=pb.Append(
                message_id=message_id, role=ROLES[role], text=text, provisional=provisional, tool_call_id=call
            )
        )
        assert (await self.read("prefilled")).prefilled.message_id == message_id

    async def read(self, expected: str = "") -> pb.ConverseResponse:
        async with asyncio.timeout(LONG):
            response = await self._call.read()
        assert response is not grpc.aio.EOF, "the stream has ended"
        if expected:
            assert response.WhichOneof("message") == expected, response
        return response

    async def answer(self, generation_id: int, **fields: Any) -> tuple[str, list[pb.ToolCall], pb.Done]:
        """Generate, and collect the whole answer."""
        await self.send(generate=pb.Generate(generation_id=generation_id, **fields))
        return await self.collect(generation_id)

    async def collect(self, generation_id: int) -> tuple[str, list[pb.ToolCall], pb.Done]:
        text, calls = "", []
        while True:
            response = await self.read()
            match response.WhichOneof("message"):
                case "text":
                    assert response.text.generation_id == generation_id
                    text += response.text.text
                case "tool_call":
                    assert response.tool_call.generation_id == generation_id
                    calls.append(response.tool_call.call)
                case "done":
                    assert response.done.generation_id == generation_id
                    return text, calls, response.done
                case other:
                    raise AssertionError(other)

    async def end(self) -> None:
        """No more operations; the stream must end by itself, well."""
        await self._call.done_writing()
        async with asyncio.timeout(LONG):
            assert await self._call.read() is grpc.aio.EOF
            assert await self._call.code() is grpc.StatusCode.OK

    async def status(self) -> grpc.aio.AioRpcError:
        """The status that the stream ends with, after whatever else comes."""
        try:
            async with asyncio.timeout(LONG):
                while await self._call.read() is not grpc.aio.EOF:
                    pass
        except grpc.aio.AioRpcError as error:
            return error
        raise AssertionError(f"ended with {await self._call.code()}: {await self._call.details()}")

    def cancel(self) -> None:
        self._call.cancel()


Talking = Callable[..., AbstractAsyncContextManager[Callable[[], Talk]]]


@asynccontextmanager
async def _serving(backend: Backend, drain: Drain | None = None, **settings: Any) -> AsyncIterator[Callable[[], Talk]]:
    await backend.warm_up()
    server = grpc.aio.server()
    servicer = LanguageModelServicer(LlmSettings(**settings), backend, drain or Drain())
    pb_grpc.add_LanguageModelServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield lambda: Talk(pb_grpc.LanguageModelStub(channel).Converse())
    finally:
        await server.stop(0)
        await backend.close()


@pytest.fixture
def serving() -> Talking:
    """`async with serving(backend, …) as connect: talk = connect()`."""
    return _serving
