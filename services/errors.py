"""What can go wrong between processes, and the gRPC status that says so.

ServiceError
├── InvalidRequest   INVALID_ARGUMENT    the caller's fault; names the field
├── NotFound         NOT_FOUND           no such voice, model, …
├── Busy             RESOURCE_EXHAUSTED  full; says when to try again
├── Unavailable      UNAVAILABLE         draining, not warm, gone, or too slow
└── InternalError    INTERNAL            a bug
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import wraps
from typing import Any, ClassVar, NoReturn, TypeVar

import grpc

RETRY_AFTER = "retry-after-ms"
"""Trailing metadata of RESOURCE_EXHAUSTED."""

BROKEN_WRITE = "Internal error from Core"
"""How gRPC's asyncio client describes that a message could not be written; the server has no part in it."""

log = logging.getLogger(__name__)
Method = TypeVar("Method", bound=Callable[..., Any])


class ServiceError(Exception):
    """Base; `status` is how it travels."""

    status: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL


class InvalidRequest(ServiceError):
    """A request that can never succeed: `field` is what is wrong with it."""

    status = grpc.StatusCode.INVALID_ARGUMENT

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.field = field


class NotFound(ServiceError):
    """The thing named does not exist; the text says what does."""

    status = grpc.StatusCode.NOT_FOUND


class Busy(ServiceError):
    """No place now. `retry_after` in seconds."""

    status = grpc.StatusCode.RESOURCE_EXHAUSTED

    def __init__(self, text: str, retry_after: float = 1.0) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class Unavailable(ServiceError):
    """Cannot serve now, another worker may."""

    status = grpc.StatusCode.UNAVAILABLE


class InternalError(ServiceError):
    """A bug on the other side."""


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: ServiceError) -> NoReturn:
    """End the stream with the error's status."""
    trailers = ((RETRY_AFTER, str(round(error.retry_after * 1000))),) if isinstance(error, Busy) else ()
    await context.abort(error.status, str(error), trailers)
    raise AssertionError("abort returns never")


async def _abort_for(error: Exception, where: str, context: grpc.aio.ServicerContext[Any, Any]) -> NoReturn:
    match error:
        case grpc.aio.AbortError():
            raise error
        case ServiceError():
            await abort(context, error)
        case _:
            log.error("unexpected error in %s", where, exc_info=error)
            await abort(context, InternalError("internal error; the worker's log has the traceback"))


def translated(method: Method) -> Method:
    """Wrap a servicer's method `(self, request or requests, context)`, an async generator or a coroutine: a
    ServiceError becomes its status, any other exception is logged and becomes INTERNAL."""
    where = method.__qualname__

    @wraps(method)
    async def streaming(self: Any, requests: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        try:
            # Closed here and not by the garbage collector: what the method holds is freed when the stream ends.
            async with aclosing(method(self, requests, context)) as responses:
                async for response in responses:
                    yield response
        except Exception as error:  # noqa: BLE001 - the edge of the process; nothing is swallowed
            await _abort_for(error, where, context)

    @wraps(method)
    async def single(self: Any, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        try:
            return await method(self, request, context)
        except Exception as error:  # noqa: BLE001 - as above
            await _abort_for(error, where, context)

    wrapper: Any = streaming if inspect.isasyncgenfunction(method) else single
    return wrapper  # type: ignore[no-any-return]


def from_rpc(error: grpc.aio.AioRpcError) -> ServiceError:
    """The exception that the server raised, as far as its status tells."""
    text = error.details() or error.code().name
    match error.code():
        case grpc.StatusCode.INVALID_ARGUMENT:
            return InvalidRequest("", text)
        case grpc.StatusCode.NOT_FOUND | grpc.StatusCode.UNIMPLEMENTED:
            return NotFound(text)
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return Busy(text, _retry_after(error))
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.DEADLINE_EXCEEDED | grpc.StatusCode.CANCELLED:
            return Unavailable(text)
        case grpc.StatusCode.INTERNAL if text == BROKEN_WRITE:
            return Unavailable("the connection broke while writing")
        case _:
            return InternalError(text)


def _retry_after(error: grpc.aio.AioRpcError) -> float:
    """Seconds; one second when the server does not say, or says nonsense."""
    said = dict(error.trailing_metadata() or ()).get(RETRY_AFTER, "")
    return int(said) / 1000 if isinstance(said, str) and said.isdecimal() else 1.0
