"""A running service for whole calls, and who is around it: a reception to hand callers to, a webhook, callers."""

import asyncio
import hashlib
import hmac
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web

from agent.audio import Samples
from loadtest.performance import RATE
from loadtest.rawphone import Dialog, Message, RawPhone
from scripts.onecall import PlacedCall, place_call
from scripts.stack import Stack, StackOptions, running
from tests.system import practice
from tests.system.practice import scenario
from tests.waiting import until

KEY = "a key of the test's own"
TONE_HZ = 440


class Reception(RawPhone):
    """A person to hand callers to: answers calls as it is told, one after the other; a tone is its voice."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[str] = []
        self.callers: list[Dialog] = []

    async def serve(self) -> None:
        """Until cancelled."""
        while True:
            invite = await self.receive(lambda m: m.start.startswith("INVITE"), timeout=3600)
            self._take(invite, self.answers.pop(0))

    def _take(self, invite: Message, answer: str) -> None:
        if not answer.startswith("200"):
            self.respond(invite, answer, tag="busy")
            return
        self.respond(invite, answer, self.sdp(), tag="here")
        dialog = self.dialog()
        dialog.media = ("127.0.0.1", invite.media_port)
        self.callers.append(dialog)
        self.media.talk(dialog, tone(3.0))


def tone(seconds: float) -> Samples:
    """What the reception says."""
    return (6000 * np.sin(2 * np.pi * TONE_HZ / RATE * np.arange(round(seconds * RATE)))).astype(np.int16)


def seconds_of_tone(heard: Samples) -> float:
    """For how long the reception's voice is in a sound."""
    blocks = heard[: len(heard) // 400 * 400].reshape(-1, 400).astype(float)
    there = np.abs(blocks @ np.exp(-2j * np.pi * TONE_HZ / RATE * np.arange(400))) / 200
    return float(np.sum((there > 2000) & (np.abs(blocks).max(axis=1) < 12_000)) * 400 / RATE)


@dataclass
class World:
    """The service, and who is around it."""

    stack: Stack
    reception: Reception
    posted: list[tuple[str, bytes]] = field(default_factory=list)
    """What the end-of-call webhook has received: signature and body."""

    async def call(self, agent: str, folder: Path, *steps: str, end: str = 'ended_by = "agent"') -> PlacedCall:
        """Call an agent, with a scenario of these steps."""
        folder = folder / agent
        folder.mkdir()
        placed = await place_call(self.stack, scenario(folder / "steps.toml", *steps, end=end), folder, called=agent)
        assert placed.complaint == ""
        return placed

    async def told_of(self, call_id: str) -> dict[str, Any]:
        """The webhook's account of a call, once it is there."""

        def found() -> list[tuple[str, bytes]]:
            return [(seal, body) for seal, body in self.posted if json.loads(body)["call"]["id"] == call_id]

        await until(found)
        ((seal, body),) = found()
        stamp, _, mac = seal.partition(",v1=")
        signed = stamp.removeprefix("t=").encode() + b"." + body
        assert hmac.new(KEY.encode(), signed, hashlib.sha256).hexdigest() == mac
        told: dict[str, Any] = json.loads(body)
        assert told["event"] == "call_ended"
        call: dict[str, Any] = told["call"]
        return call


def agents(folder: Path, reception: int, hook: str) -> None:
    """The files of all agents that are called here."""
    ended = practice.ENDED.format(url=hook)
    handing_on = f'\n[transfer]\nreception = "sip:reception@127.0.0.1:{reception}"\n'
    practice.write(folder, "asks", practice.recorded("ask", "May we record this call?") + ended)
    practice.write(folder, "tells", practice.recorded("announce", "This call is recorded.") + ended)
    practice.write(folder, "hands-on", handing_on + ended, tools=', "transfer_call"', silence=20)
    practice.write(folder, "silent", ended, silence=3)
    practice.write(folder, "brief", ended, longest=10, silence=60)


@asynccontextmanager
async def webhook(take: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(take, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/ended"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def service(folder: Path) -> AsyncIterator[World]:
    """A service with all these agents, its data in `folder`."""
    posted: list[tuple[str, bytes]] = []

    async def ended(request: web.Request) -> web.Response:
        posted.append((request.headers["Trunkline-Signature"], await request.read()))
        return web.Response(status=503 if len(posted) == 1 else 204)  # the first is to be tried again

    app = web.Application()
    app.router.add_post("/ended", ended)
    reception = Reception()
    async with webhook(app) as hook, reception:
        agents(folder / "agents", reception.port, hook)
        environment = {
            "TRUNKLINE_AGENT_AGENTS": str(folder / "agents"),
            "TRUNKLINE_AGENT_DIAL_ALLOW": "*@127.0.0.1:*",
        }
        os.environ["TEST_WEBHOOK_KEY"] = KEY
        serving = asyncio.create_task(reception.serve())
        try:
            async with running(StackOptions(folder / "data", environment=environment)) as stack:
                yield World(stack, reception, posted)
        finally:
            del os.environ["TEST_WEBHOOK_KEY"]
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
