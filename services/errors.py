"""What can go wrong between processes, and the gRPC status that says so.

ServiceError
├── InvalidRequest   INVALID_ARGUMENT    the caller's fault; names the field
├── NotFound         NOT_FOUND           no such voice, model, …
├── Busy             RESOURCE_EXHAUSTED  full; says when to try again
├── Unavailable      UNAVAILABLE         draining, not warm, gone, or too slow
└── InternalError    INTERNAL            a bug
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from functools import wraps
from typing import Any, ClassVar, NoReturn

import grpc

RETRY_AFTER = "retry-after-ms"
"""Trailing metadata of RESOURCE_EXHAUSTED."""

log = logging.getLogger(__name__)


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


def translated(method: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
    """Wrap a servicer's streaming method `(self, requests, context)`: errors become statuses, bugs are logged."""

    @wraps(method)
    async def wrapper(self: Any, requests: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        try:
            async for response in method(self, requests, context):
                yield response
        except ServiceError as error:
            await abort(context, error)
        except (asyncio.CancelledError, GeneratorExit, grpc.aio.AbortError):
            raise
        except Exception:
            log.exception("unexpected error in %s", method.__qualname__)
            await abort(context, InternalError("internal error; the worker's log has the traceback"))

    return wrapper


def from_rpc(error: grpc.aio.AioRpcError) -> ServiceError:
    """The exception that the server raised, as far as its status tells."""
    text = error.details() or error.code().name
    match error.code():
        case grpc.StatusCode.INVALID_ARGUMENT:
            return InvalidRequest("", text)
        case grpc.StatusCode.NOT_FOUND | grpc.StatusCode.UNIMPLEMENTED:
            return NotFound(text)
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            trailers = dict(error.trailing_metadata() or ())
            return Busy(text, float(trailers.get(RETRY_AFTER, 1000)) / 1000)
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.DEADLINE_EXCEEDED | grpc.StatusCode.CANCELLED:
            return Unavailable(text)
        case _:
            return InternalError(text)
