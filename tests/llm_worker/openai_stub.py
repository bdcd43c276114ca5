"""A local HTTP server that speaks the chat completions protocol, well or badly as each test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Behaviour = Callable[["Stub", web.Request], Awaitable[web.StreamResponse]]


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "tiny", "choices": [choice]}


def call_piece(index: int | None, name: str | None = None, arguments: str | None = None, **more: Any) -> dict[str, Any]:
    function = {key: value for key, value in {"name": name, "arguments": arguments}.items() if value is not None}
    return {"index": index, "function": function, "type": "function"} | more


COUNTS = {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23}
USAGE = {
    "id": "1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "tiny",
    "choices": [],
    "usage": {**COUNTS, "prompt_tokens_details": {"cached_tokens": 16}},
}


class Stub:
    """`behaviours` answer one request each, the last one all further ones."""

    def __init__(self, *behaviours: Behaviour, models: Any = ("tiny", "large")) -> None:
        self._behaviours = list(behaviours)
        self._models = models
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.asked = asyncio.Event()
        self.closed = asyncio.Event()
        """Set when the client leaves in the middle of an answer."""
        self.url = ""

    async def models(self, request: web.Request) -> web.StreamResponse:
        if isinstance(self._models, int):
            return web.Response(status=self._models, text="no")
        data = [{"id": name, "object": "model", "created": 1, "owned_by": "us"} for name in self._models]
        return web.json_response({"object": "list", "data": data})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(await request.json())
        self.headers.append(request.headers)
        self.asked.set()
        behaviour = self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
        try:
            return await behaviour(self, request)
        except (asyncio.CancelledError, ConnectionError):
            self.closed.set()
            raise


@asynccontextmanager
async def running(stub: Stub) -> AsyncIterator[Stub]:
    app = web.Application()
    app.router.add_get("/v1/models", stub.models)
    app.router.add_post("/v1/chat/completions", stub.chat)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stub.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield stub
    finally:
        await runner.cleanup()


async def _begin(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    return response


def says(*events: Any, done: bool = True, pause: float = 0.0, usage: bool = True, first: float = 0.0) -> Behaviour:
    """Stream events: dicts as JSON, text raw. `pause` seconds between them, `first` before."""

    async def behave(stub: Stub, request: web.Request) -> web.StreamResponse:
        response = await _begin(request)
        await asyncio.sleep(first)
        for event in [*events, *([USAGE] if usage else []), *(["[DONE]"] if done else [])]:
            data = event if isinstance(event, str) else json.dumps(event)
            await response.write(f"data: {data}\n\n".encode())
            await asyncio.sleep(pause)
        return response

    return behave


def dies(*events: Any) -> Behaviour:
    """Stream events, then break the connection in the middle of the body."""

    async def behave(stub: Stub, request: web.Request) -> web.StreamResponse:
        response = await _begin(request)
        for event in events:
            await response.write(f"data: {json.dumps(event)}\n\n".encode())
        assert request.transport is not None
        request.transport.abort()
        return response

    return behave


def hangs(*events: Any, before_headers: bool = False) -> Behaviour:
    """Stream events, then nothing more."""

    async def behave(stub: Stub, request: web.Request) -> web.StreamResponse:
        if before_headers:
            await asyncio.sleep(60)
        response = await _begin(request)
        for event in events:
            await response.write(f"data: {json.dumps(event)}\n\n".encode())
        await asyncio.sleep(60)
        return response

    return behave


def refuses(status: int, message: str = "no", headers: dict[str, str] | None = None, plain: bool = False) -> Behaviour:
    async def behave(stub: Stub, request: web.Request) -> web.StreamResponse:
        if plain:
            return web.Response(status=status, text=message, headers=headers)
        return web.json_response({"error": {"message": message, "type": "t"}}, status=status, headers=headers)

    return behave
