"""The agent as a process: outbound calls, several processes, and one clear line for everything that is wrong."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agent.audio import level_dbfs
from agent.telephony.leg import Connected, Ended, Leg
from agent.telephony.sip import SipRuntime
from scripts.ports import free_port, free_ports
from scripts.stack import ROOT, StackOptions, running
from tests.agent.telephony.support import sip_settings
from tests.waiting import LONG, until

AGENT = """
name = "desk"
prompt = "Be kind."
greeting = "Hello, this is a call from the practice."
numbers = ["*"]
"""


def environment(**variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRUNKLINE_")}
    return {**inherited, "PYTHONPATH": str(ROOT), **variables}


async def talk(leg: Leg, seconds: float) -> None:
    """Answer, listen until there was so much voice, hang up."""
    await leg.answer()
    voiced = 0.0

    def heard() -> bool:
        nonlocal voiced
        sound = leg.read()
        voiced += sum(0.02 for i in range(0, len(sound), 160) if level_dbfs(sound[i : i + 160]) > -45)
        return voiced >= seconds

    async for event in leg.events():
        if isinstance(event, Connected):
            await until(heard)
            await leg.hang_up()
        if isinstance(event, Ended):
            break


@pytest.mark.models
@pytest.mark.realtime
async def test_an_outbound_call_is_greeted_and_recorded(tmp_path: Path) -> None:
    allowed = {"TRUNKLINE_AGENT_DIAL_ALLOW": "*@127.0.0.1:*"}
    async with (
        running(StackOptions(data=tmp_path, environment=allowed)) as stack,
        SipRuntime(sip_settings()) as phone,
        aiohttp.ClientSession(stack.http_address, headers={"Authorization": f"Bearer {stack.token}"}) as session,
    ):
        port = phone._settings.sip_port
        async with session.post("/calls", json={"to": "sip:somebody@192.0.2.1", "agent": "frontdesk"}) as refused:
            assert refused.status == 403
        async with session.post("/calls", json={"to": f"sip:somebody@127.0.0.1:{port}", "agent": "nobody"}) as unknown:
            assert unknown.status == 404
        async with session.post("/calls", json={"to": f"sip:somebody@127.0.0.1:{port}", "agent": "frontdesk"}) as reply:
            assert reply.status == 201
            call_id = (await reply.json())["id"]
        leg = await anext(phone.incoming())
        await talk(leg, 1.0)
        call: dict[str, Any] = {}
        async with asyncio.timeout(LONG):
            while not call.get("ended"):
                await asyncio.sleep(0.1)
                async with session.get(f"/calls/{call_id}") as record:
                    call = await record.json()
        assert call["direction"] == "outbound"
        assert call["reason"] == "caller_hung_up"
        assert call["turns"][0]["agent_sent"].startswith("This call is recorded.")


@asynccontextmanager
async def agents(tmp_path: Path, count: int) -> AsyncIterator[tuple[asyncio.subprocess.Process, list[int]]]:
    """Several agent processes without workers; yields the parent and the HTTP ports."""
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "desk.toml").write_text(AGENT)
    sip = free_ports(3 * count + 2)
    http = sip + 2 * count + 2
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent", cwd=ROOT, stderr=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        env=environment(
            TRUNKLINE_AGENT_PROCESSES=str(count), TRUNKLINE_AGENT_HTTP_PORT=str(http),
            TRUNKLINE_AGENT_SIP_PORT=str(sip), TRUNKLINE_AGENT_SIP_ADDRESS="127.0.0.1",
            TRUNKLINE_AGENT_VAR=str(tmp_path), TRUNKLINE_AGENT_AGENTS=str(tmp_path / "agents"),
        ),
    )  # fmt: skip
    try:
        yield process, [http + i for i in range(count)]
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), LONG)


async def healthy(port: int) -> bool:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(f"http://127.0.0.1:{port}/healthz") as reply,
        ):
            return reply.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


async def eventually(port: int, up: bool, seconds: float = LONG) -> None:
    async with asyncio.timeout(seconds):
        while await healthy(port) is not up:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_several_processes_share_a_machine_and_are_started_again(tmp_path: Path) -> None:
    async with agents(tmp_path, 2) as (parent, ports):
        for port in ports:
            await eventually(port, up=True)
        first, second = children(parent.pid)
        os.kill(second, signal.SIGKILL)
        async with asyncio.timeout(LONG):
            while len(now := children(parent.pid)) < 2 or second in now:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        assert first in children(parent.pid), "the other one goes on"
        for port in ports:
            await eventually(port, up=True)
    assert parent.returncode == 0
    assert not await healthy(ports[0])


Broken = tuple[str, Mapping[str, str], str, int]
BROKEN: list[Broken] = [
    ("agent", {"TRUNKLINE_AGENT_SIP_PRT": "1"}, "TRUNKLINE_AGENT_SIP_PRT", 2),
    ("agent", {"TRUNKLINE_AGENT_SIP_PORT": "many"}, "TRUNKLINE_AGENT_SIP_PORT", 2),
    ("agent", {"TRUNKLINE_AGENT_AGENTS": "{tmp}/none"}, "none", 1),
    ("agent", {"TRUNKLINE_AGENT_AGENTS": "{tmp}/mistake"}, "desk.toml", 1),
    ("agent", {"TRUNKLINE_AGENT_VAR": "{tmp}/unreadable"}, "calendar", 1),
    ("stt_worker", {"TRUNKLINE_STT_MODEL": "{tmp}/none"}, "none", 1),
    ("stt_worker", {"TRUNKLINE_STT_DECODERS": "-1"}, "TRUNKLINE_STT_DECODERS", 2),
    ("llm_worker", {"TRUNKLINE_LLM_BACKEND": "oracle"}, "TRUNKLINE_LLM_BACKEND", 2),
    ("tts_worker", {"TRUNKLINE_TTS_ENGINE": "oracle"}, "TRUNKLINE_TTS_ENGINE", 2),
    ("tts_worker", {"TRUNKLINE_TTS_PORT": "{taken}"}, "{taken}", 1),
    ("loadtest.caller", {}, "no-such-scenario", 2),
]


@pytest.mark.parametrize(("module", "variables", "named", "code"), BROKEN, ids=lambda v: str(v)[:40])
def test_what_is_wrong_is_one_clear_line(
    module: str, variables: Mapping[str, str], named: str, code: int, tmp_path: Path
) -> None:
    (tmp_path / "mistake").mkdir()
    (tmp_path / "mistake" / "desk.toml").write_text(AGENT.replace("prompt", "promt"))
    (tmp_path / "unreadable" / "calendars").mkdir(parents=True)
    (tmp_path / "unreadable" / "calendars" / "frontdesk.sqlite").write_text("this is no database, " * 100)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        words = {"{tmp}": str(tmp_path), "{taken}": str(taken.getsockname()[1])}

        def filled(text: str) -> str:
            for word, value in words.items():
                text = text.replace(word, value)
            return text

        own = {name: filled(value) for name, value in variables.items()}
        if module == "agent":
            own = {
                "TRUNKLINE_AGENT_VAR": str(tmp_path / "var"), "TRUNKLINE_AGENT_HTTP_PORT": "0",
                "TRUNKLINE_AGENT_SIP_PORT": str(free_port()), "TRUNKLINE_AGENT_SIP_ADDRESS": "127.0.0.1", **own,
            }  # fmt: skip
        arguments = ["no-such-scenario", "--to", "sip:a@127.0.0.1:9"] if module == "loadtest.caller" else []
        run = subprocess.run(
            [sys.executable, "-m", module, *arguments], env=environment(**own), cwd=ROOT,
            capture_output=True, text=True, timeout=2 * LONG, check=False,
        )  # fmt: skip
    assert run.returncode == code, run.stderr
    assert filled(named) in run.stderr
    assert "Traceback" not in run.stderr
    told = [line for line in run.stderr.splitlines() if not line.startswith("{")]
    assert len(told) <= 2, told
