"""The door of a gRPC server: closed until the model is warm and again while draining; counts who goes through."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import grpc

from services.errors import Unavailable, abort
from services.telemetry import count_request


class Gate(grpc.aio.ServerInterceptor):
    """Refuses the service's methods with UNAVAILABLE while `closed_because` says why; counts every ended one as
    `trunkline_worker_requests_total{service,code}`. Health and reflection pass by."""

    def __init__(self, service: str) -> None:
        """`service` is the full protobuf name."""
        self.closed_because = "not warm yet"
        self._service = service
        self._active = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def idle(self) -> None:
        """Return once no method is running."""
        await self._idle.wait()

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        """Called by gRPC for every request."""
        handler = await continuation(details)
        if handler is None or not str(details.method).startswith(f"/{self._service}/"):
            return handler
        # The kind of a method is the name of the handler's one attribute that holds it.
        kind = f"{_kind(handler.request_streaming)}_{_kind(handler.response_streaming)}"
        wrap = self._streaming if handler.response_streaming else self._single
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(wrap(getattr(handler, kind)), handler.request_deserializer, handler.response_serializer)

    def _streaming(self, behaviour: Any) -> Any:
        async def method(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            with self._passing(context):
                await self._check(context)
                async with aclosing(behaviour(request, context)) as responses:
                    async for response in responses:
                        yield response

        return method

    def _single(self, behaviour: Any) -> Any:
        async def method(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            with self._passing(context):
                await self._check(context)
                return await behaviour(request, context)

        return method

    async def _check(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        if self.closed_because:
            await abort(context, Unavailable(self.closed_because))

    @contextmanager
    def _passing(self, context: grpc.aio.ServicerContext[Any, Any]) -> Iterator[None]:
        self._active += 1
        self._idle.clear()
        code = "OK"
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            code = "CANCELLED"
            raise
        except Exception:
            code = _failure(context.code())
            raise
        finally:
            self._active -= 1
            if not self._active:
                self._idle.set()
            count_request(self._service, code)


def _kind(streaming: bool) -> str:
    return "stream" if streaming else "unary"


def _failure(code: Any) -> str:
    """Name of the status of a method that raised. A context whose method set none tells 0; the client sees UNKNOWN."""
    return code.name if isinstance(code, grpc.StatusCode) else grpc.StatusCode.UNKNOWN.name
