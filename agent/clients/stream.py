"""One gRPC stream to one worker, written without waiting."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import grpc

from services.errors import ServiceError, Unavailable, from_rpc
from services.telemetry import count_request

Q = TypeVar("Q")
R = TypeVar("R")

OUTBOX = 2_000
"""Messages that may wait to be written. More wait only if the worker no longer reads: the stream is given up then."""


class Stream(Generic[Q, R]):
    """A call in progress. `send` never waits; `read` raises what ended the stream."""

    def __init__(self, call: "grpc.aio.StreamStreamCall[Q, R]") -> None:
        self._call = call
        self._outbox: asyncio.Queue[Q] = asyncio.Queue(OUTBOX)
        self._accepted = asyncio.Event()
        self._abandoned: ServiceError | None = None

    def send(self, message: Q) -> None:
        """Write `message` after those before it."""
        try:
            self._outbox.put_nowait(message)
        except asyncio.QueueFull:
            self.abandon(Unavailable("the worker has stopped reading"))

    def abandon(self, why: ServiceError) -> None:
        """Cancel the call; `read` raises `why`."""
        self._abandoned = self._abandoned or why
        self._call.cancel()

    async def read(self) -> R | None:
        """The next response; None when the worker ended the stream well. Raises ServiceError."""
        try:
            response: Any = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._abandoned and task and not task.cancelling():  # the call was cancelled, and not who reads it
                raise self._abandoned from None
            raise
        return None if response is grpc.aio.EOF else response

    def accepted(self) -> None:
        """The worker has taken the first message; the others follow. A worker that refuses the first is not sent the
        rest, and its reason cannot be masked: gRPC reports a write that fails as an INTERNAL error of its own."""
        self._accepted.set()

    async def write(self) -> None:
        """Body of the task that empties the outbox; ends with the call."""
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # the reader is told, too
            await self._call.write(await self._outbox.get())
            await self._accepted.wait()
            while True:
                await self._call.write(await self._outbox.get())

    async def close(self) -> grpc.StatusCode:
        """End the call, wait until it has ended, and tell how."""
        self._call.cancel()
        return await self._call.code()


@asynccontextmanager
async def streaming(method: "grpc.aio.StreamStreamMultiCallable[Q, R]", service: str) -> AsyncIterator[Stream[Q, R]]:
    """A stream that is cancelled, if still open, when the context is left. Counted by `service` and status."""
    stream: Stream[Q, R] = Stream(method())
    writer = asyncio.create_task(stream.write())
    try:
        yield stream
    finally:
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
        count_request(service, (await stream.close()).name)
