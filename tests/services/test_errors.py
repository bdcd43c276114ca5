"""Errors cross a real connection and come out as what they were."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from protos import text_to_speech_pb2 as pb
from protos import text_to_speech_pb2_grpc as pb_grpc
from services import errors
from services.channels import connect
from services.errors import (
    Busy,
    InternalError,
    InvalidRequest,
    NotFound,
    ServiceError,
    Unavailable,
    from_rpc,
    translated,
)


class Failing(pb_grpc.TextToSpeechServicer):
    """Raises what it is given, after one response."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.closed = False

    @translated
    async def Synthesize(self, requests: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        try:
            yield pb.SynthesizeResponse(opened=pb.Opened(model="m"))
            async for _ in requests:
                raise self.error
        finally:
            self.closed = True

    @translated
    async def ListVoices(self, request: Any, context: Any) -> Any:  # noqa: N802
        raise self.error


@asynccontextmanager
async def stub_for(servicer: Failing) -> AsyncIterator[Any]:
    server = grpc.aio.server()
    pb_grpc.add_TextToSpeechServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with connect(f"127.0.0.1:{port}") as channel:
        yield pb_grpc.TextToSpeechStub(channel)
    await server.stop(0)


CASES = [
    (InvalidRequest("open.voice", "is empty"), InvalidRequest, "open.voice: is empty"),
    (NotFound("voice x; there are: y"), NotFound, "voice x; there are: y"),
    (Busy("4 places taken", retry_after=2.5), Busy, "4 places taken"),
    (Unavailable("draining"), Unavailable, "draining"),
    (InternalError("odd"), InternalError, "odd"),
    (ZeroDivisionError("secret detail"), InternalError, "internal error; the worker's log has the traceback"),
]


@pytest.mark.parametrize(("raised", "kind", "text"), CASES, ids=lambda value: getattr(value, "__name__", ""))
async def test_an_error_arrives_as_what_it_was(raised: Exception, kind: type[ServiceError], text: str) -> None:
    servicer = Failing(raised)
    async with stub_for(servicer) as stub:
        call = stub.Synthesize()
        assert (await call.read()).opened.model == "m"
        await call.write(pb.SynthesizeRequest())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        streamed = from_rpc(caught.value)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ListVoices(pb.ListVoicesRequest())
        single = from_rpc(caught.value)
    for error in (streamed, single):
        assert type(error) is kind
        assert str(error) == text
        if isinstance(raised, Busy):
            assert isinstance(error, Busy)
            assert error.retry_after == 2.5
    assert servicer.closed


async def test_a_bug_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async with stub_for(Failing(ZeroDivisionError("oops"))) as stub:
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.ListVoices(pb.ListVoicesRequest())
    (record,) = [record for record in caplog.records if record.name == errors.__name__]
    assert record.getMessage() == "unexpected error in Failing.ListVoices"
    assert record.exc_info
    assert record.exc_info[0] is ZeroDivisionError


async def test_cancelling_closes_the_method() -> None:
    servicer = Failing(Unavailable("never"))
    async with stub_for(servicer) as stub:
        call = stub.Synthesize()
        await call.read()
        call.cancel()
    assert servicer.closed


def rpc_error(code: grpc.StatusCode, details: str = "", **trailers: str) -> grpc.aio.AioRpcError:
    pairs = [(name.replace("_", "-"), value) for name, value in trailers.items()]
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*pairs), details)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.DEADLINE_EXCEEDED, Unavailable),
        (grpc.StatusCode.CANCELLED, Unavailable),
        (grpc.StatusCode.UNIMPLEMENTED, NotFound),
        (grpc.StatusCode.UNKNOWN, InternalError),
        (grpc.StatusCode.DATA_LOSS, InternalError),
    ],
)
def test_statuses_that_we_do_not_send(code: grpc.StatusCode, kind: type[ServiceError]) -> None:
    error = from_rpc(rpc_error(code))
    assert type(error) is kind
    assert str(error) == code.name


@pytest.mark.parametrize(("said", "seconds"), [("1500", 1.5), ("", 1.0), ("soon", 1.0), ("-5", 1.0), ("0", 0.0)])
def test_a_delay_that_makes_no_sense_is_a_second(said: str, seconds: float) -> None:
    error = from_rpc(rpc_error(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after_ms=said))
    assert isinstance(error, Busy)
    assert error.retry_after == seconds


def test_a_write_that_broke_is_not_the_servers_bug() -> None:
    assert isinstance(from_rpc(rpc_error(grpc.StatusCode.INTERNAL, errors.BROKEN_WRITE)), Unavailable)
