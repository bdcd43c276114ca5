"""Starts and stops the HTTP interface."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.http.switchboard import Switchboard
from agent.store import Store


@dataclass(frozen=True)
class HttpSettings:
    """Where to listen and what to ask for."""

    host: str
    port: int
    """0 takes a free one."""
    var: Path
    """Directory that keeps the generated token (`api-token`, mode 0600)."""
    token: str = ""
    """Empty: generated on first start, kept, and printed once."""


@dataclass(frozen=True)
class HttpServer:
    """A running server."""

    host: str
    port: int
    token: str


@asynccontextmanager
async def serve_http(settings: HttpSettings, switchboard: Switchboard, store: Store) -> AsyncIterator[HttpServer]:
    """Serve until the context ends. Raises StartError: port taken, token file unreadable."""
    raise NotImplementedError
    yield HttpServer("", 0, "")
