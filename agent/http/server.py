"""Starts and stops the HTTP interface, and lets in who has the token."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Middleware

from agent.errors import StartError
from agent.http.attempts import Attempts
from agent.http.errors import Handler, Problem, json_errors
from agent.http.routes import OPEN, Routes
from agent.http.switchboard import Switchboard
from agent.http.token import bearer_is, obtain_token, token_path
from agent.store import Store

log = logging.getLogger(__name__)

LARGEST_BODY = 16 * 1024


@dataclass(frozen=True)
class HttpSettings:
    """Where to listen and what to ask for."""

    host: str
    port: int
    """0 takes a free one."""
    var: Path
    """Directory that keeps the generated token (`api-token`, mode 0600)."""
    token: str = field(default="", repr=False)
    """Empty: generated on first start, kept, and printed once."""


@dataclass(frozen=True)
class HttpServer:
    """A running server."""

    host: str
    port: int
    token: str = field(repr=False)


@asynccontextmanager
async def serve_http(settings: HttpSettings, switchboard: Switchboard, store: Store) -> AsyncIterator[HttpServer]:
    """Serve until the context ends. Raises StartError: port taken, token file unreadable."""
    token, made = await asyncio.to_thread(obtain_token, settings.var, settings.token)
    app = web.Application(middlewares=[json_errors, _doorkeeper(token)], client_max_size=LARGEST_BODY)
    app.add_routes(Routes(switchboard, store).all())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        try:
            await site.start()
        except OSError as error:
            raise StartError(
                f"cannot serve HTTP on {settings.host}:{settings.port}: {error.strerror or error}."
                " Stop what uses the port, or set TRUNKLINE_AGENT_HTTP_HOST and TRUNKLINE_AGENT_HTTP_PORT."
            ) from None
        if made:
            # For the person who starts it, once; never into the log.
            sys.stdout.write(f"API token (kept in {token_path(settings.var)}): {token}\n")
            sys.stdout.flush()
        host, port = runner.addresses[0][:2]
        yield HttpServer(host, port, token)
    finally:
        await runner.cleanup()


def _doorkeeper(token: str) -> Middleware:
    attempts = Attempts()

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in OPEN:
            return await handler(request)
        now = asyncio.get_running_loop().time()
        address = request.remote or ""
        if wait := attempts.wait(address, now):
            raise Problem(429, "too_many_attempts", "too many wrong tokens from this address; wait", wait)
        if not bearer_is(request.headers.get("Authorization", ""), token):
            attempts.failed(address, now)
            raise Problem(401, "unauthorized", "send the header `Authorization: Bearer <API token>`")
        response = await handler(request)
        response.headers["Cache-Control"] = "no-store"
        return response

    return check
