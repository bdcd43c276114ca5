"""The gRPC face of the worker: admits conversations, reads their operations, writes their events."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import grpc

from llm_worker.backends import Backend
from llm_worker.config import LlmSettings
from llm_worker.exchange import Leaving, Operation
from llm_worker.metrics import CONVERSATIONS
from llm_worker.request import Opening
from llm_worker.session import Outbox, Session
from llm_worker.wire import operation, response
from protos import language_model_pb2 as pb
from protos import language_model_pb2_grpc as pb_grpc
from services.errors import Busy, InvalidRequest, Unavailable, translated
from services.server import Drain
from services.telemetry import call_id


class LanguageModelServicer(pb_grpc.LanguageModelServicer):
    """Serves `Converse` with one backend."""

    def __init__(self, settings: LlmSettings, backend: Backend, drain: Drain) -> None:
        self._settings = settings
        self._backend = backend
        self._drain = drain
        self._open = 0
        self._worker_id = f"{socket.gethostname()}-{os.getpid()}"

    @translated
    async def Converse(  # noqa: N802 - the contract's name
        self,
        request_iterator: AsyncIterator[pb.ConverseRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[pb.ConverseResponse]:
        """One conversation, for as long as its call."""
        self._admit()
        self._open += 1
        CONVERSATIONS.inc()
        outbox = Outbox()
        tasks = [
            asyncio.create_task(self._converse(request_iterator, outbox)),
            asyncio.create_task(self._announce(outbox)),
        ]
        tasks[0].add_done_callback(lambda task: outbox.close(None if task.cancelled() else task.exception()))
        try:
            async for event in outbox:
                yield response(event, self._worker_id)
        finally:
            self._open -= 1
            CONVERSATIONS.dec()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _admit(self) -> None:
        if self._open >= self._settings.max_conversations:
            raise Busy(f"{self._open} conversations are open, no more are taken", retry_after=1.0)

    async def _announce(self, outbox: Outbox) -> None:
        """Tell the client when the worker is about to leave."""
        await self._drain.started.wait()
        await outbox.put(Leaving(self._drain.remaining()))

    async def _converse(self, requests: AsyncIterator[pb.ConverseRequest], outbox: Outbox) -> None:
        """Apply operations until the client has no more, then let the last answer end."""
        requests = aiter(requests)
        opening = await self._next(requests, self._settings.open_seconds)
        if opening is None:
            return
        if not isinstance(opening, Opening):
            raise InvalidRequest("message", "the first message of a stream is `open`")
        call_id.set(opening.conversation_id)
        async with Session(opening, self._settings.limits, self._backend, outbox) as session:
            while (read := await self._next(requests, self._settings.idle_seconds)) is not None:
                await session.apply(read)
            await session.finished()

    async def _next(self, requests: AsyncIterator[pb.ConverseRequest], patience: float) -> Operation | None:
        """The client's next operation; None when it has no more. Raises Unavailable when it says nothing for long."""
        try:
            async with asyncio.timeout(patience):
                return operation(await anext(requests))
        except StopAsyncIteration:
            return None
        except TimeoutError:
            raise Unavailable(f"nothing was asked for {patience:g} s; open the conversation again") from None
