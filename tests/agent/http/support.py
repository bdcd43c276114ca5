"""A served API: a switchboard that does what a test says, a client, a call in the store."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from agent.http import HttpServer, HttpSettings, serve_http
from agent.store import Store, TurnRow, WordRow
from agent.telephony.leg import CallInfo, EndReason

TOKEN = "a-token-for-tests-0123456789"


class Board:
    """A switchboard whose answers a test sets."""

    def __init__(self) -> None:
        self.up: dict[str, dict[str, Any]] = {"up-1": {"id": "up-1", "agent": "a"}}
        self.is_ready = True
        self.refusal: Exception | None = None
        self.dialled: list[tuple[str, str]] = []

    async def dial(self, number: str, agent: str) -> str:
        if self.refusal:
            raise self.refusal
        self.dialled.append((number, agent))
        return "new-1"

    async def hang_up(self, call_id: str) -> bool:
        return self.up.pop(call_id, None) is not None

    def active(self) -> Sequence[dict[str, Any]]:
        return list(self.up.values())

    def ready(self) -> tuple[bool, dict[str, Any]]:
        return self.is_ready, {"workers": {"stt": "serving"}}


class Client:
    """Speaks to a server, with its token unless told otherwise."""

    def __init__(self, server: HttpServer, session: aiohttp.ClientSession) -> None:
        self._base = f"http://{server.host}:{server.port}"
        self._session = session
        self._headers = {"Authorization": f"Bearer {server.token}"}

    async def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any
    ) -> tuple[int, Any, dict[str, str]]:
        """(status, JSON or bytes, headers)."""
        async with self._session.request(
            method, self._base + path, headers=self._headers if headers is None else headers, **more
        ) as reply:
            body = await reply.read()
            value = json.loads(body) if reply.content_type == "application/json" else body
            return reply.status, value, {name.lower(): text for name, text in reply.headers.items()}

    async def get(self, path: str, **more: Any) -> tuple[int, Any]:
        status, value, _ = await self.ask("GET", path, **more)
        return status, value

    async def get_with(self, path: str, **headers: str) -> tuple[int, Any, dict[str, str]]:
        return await self.ask("GET", path, headers={**self._headers, **headers})


@asynccontextmanager
async def serving(var: Path, board: Board, store: Store, token: str = TOKEN) -> AsyncIterator[Client]:
    async with (
        serve_http(HttpSettings("127.0.0.1", 0, var, token), board, store) as server,
        aiohttp.ClientSession() as session,
    ):
        yield Client(server, session)


def write_call(store: Store, call_id: str = "call-1") -> None:
    record = store.begin(CallInfo(call_id, "inbound", "+441", "+442", "sip"), "frontdesk")
    record.connected("PCMU", 8000)
    record.turn(TurnRow(0, "greeting", agent_sent="Hello, how can I help?", agent_heard="Hello,", interrupted=True))
    record.turn(
        TurnRow(
            1,
            "answered",
            caller="are you open",
            agent_heard="Yes.",
            marks={"caller_stopped": 2.0, "agent_started": 2.5},
            stages={"endpoint": 0.3, "voice": 0.2},
            latency=0.5,
            words=(WordRow("are", 1.2, 1.4),),
        )
    )
    record.event("hold", 3.0, held=True)
    frame = np.full(160, 7, dtype=np.int16)
    recorder = record.recorder(8000)
    for n in range(50):
        recorder.add(n * 160, frame, -frame)
    record.ended(EndReason.CALLER_HUNG_UP, "", {"turns": 2})
