"""Whole real calls on one service: consent, hold, transfers, calls out, and calls that end by themselves."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from agent.audio import level_dbfs
from loadtest import caller
from loadtest.performance import RATE
from loadtest.wording import word_error
from scripts.onecall import place_call
from scripts.ports import free_port
from scripts.stack import ROOT
from tests.system import practice
from tests.system.practice import at, audible, outcomes, scenario
from tests.system.world import World, seconds_of_tone, service
from tests.waiting import until

pytestmark = [
    pytest.mark.models,
    pytest.mark.realtime,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One service for all tests of this file."""
    async with service(tmp_path_factory.mktemp("lines")) as ready:
        yield ready


async def test_who_agrees_is_recorded_and_may_put_the_agent_on_hold(world: World, tmp_path: Path) -> None:
    placed = await world.call(
        "asks", tmp_path,
        'say = "Yes, that is fine."',
        'say = "What are your opening hours?"',
        "hold = 9\nafter = 1.2",
        'say = "Thank you, goodbye."',
    )  # fmt: skip
    record = placed.record
    ((agreed, answer),) = at(record, "recording")
    assert answer == {"allowed": True, "by": "answer"}
    assert outcomes(record) == ["greeting", "consent", "greeting", "answered", "answered"], "no prompt while on hold"
    hours = record["turns"][3]
    assert hours["agent_heard"] == hours["agent_sent"], "the agent goes on where it was"
    assert "5 PM" in hours["agent_heard"]

    (held, _), (resumed, _) = at(record, "hold")
    assert 8 < resumed - held < 12
    events = {event.kind: event.at / RATE for event in placed.report.events}
    assert audible(placed.heard, events["held"] + 0.5, events["resumed"]) == 0, "silence while on hold"
    assert audible(placed.heard, events["resumed"], events["resumed"] + 2) > 0.2, "and then the rest of the answer"
    times = [mark for turn in record["turns"] for mark in turn["marks"].values()]
    assert max(hours["marks"].values()) < resumed < record["turns"][4]["marks"]["caller_stopped"]
    assert min(times) >= 0

    sound = practice.recording(world.stack.options.data, record)
    assert sound is not None
    assert len(sound) / RATE == pytest.approx(record["summary"]["seconds"], abs=1.0)
    assert not sound[: round((agreed - 0.5) * RATE)].any(), "nothing of what was said before the yes"
    assert audible(sound[:, 0], agreed, resumed) > 0.02
    assert audible(sound[:, 1], agreed, held) > 0.2
    assert audible(sound[:, 1], held + 0.5, resumed - 0.5) == 0
    told = await world.told_of(record["id"])
    assert told["turns"] == record["turns"]


async def test_who_does_not_agree_or_asks_not_to_be_is_not_recorded(world: World, tmp_path: Path) -> None:
    refused, opted_out = await asyncio.gather(
        world.call("asks", tmp_path, 'say = "No, I would rather not."', 'say = "Thank you, goodbye."'),
        world.call("tells", tmp_path, 'say = "Please do not record this call."', 'say = "Thank you, goodbye."'),
    )
    for placed, by in ((refused, "answer"), (opted_out, "words")):
        ((_, answer),) = at(placed.record, "recording")
        assert answer == {"allowed": False, "by": by}
        assert placed.record["recording"] is None
        assert practice.recording(world.stack.options.data, placed.record) is None
        assert "answered" in outcomes(placed.record), "the conversation goes on"


async def test_a_caller_is_handed_on_and_given_back_when_nobody_is_there(world: World, tmp_path: Path) -> None:
    world.reception.answers = ["486 Busy Here", "200 OK"]
    placed = await world.call(
        "hands-on", tmp_path,
        'say = "Can I speak to a person, please?"',
        'say = "No, please put me through to the reception."',
        "pause = 7",
        'say = "Hello, is that the reception?"\nwait = false',
        "pause = 1",
        "hang_up = true\nwait = false",
        end='ended_by = "caller"',
    )  # fmt: skip
    record = placed.record
    assert record["reason"] == "transferred"
    failed, worked = [json.loads(data["result"]) for _, data in at(record, "tool")]
    assert failed["error"] == "transfer_failed"
    assert "486" in failed["detail"]
    assert "error" not in worked
    assert "can't reach anybody" in record["turns"][1]["agent_heard"]
    assert seconds_of_tone(placed.heard) > 1.5, "the caller hears the reception"
    assert level_dbfs(world.reception.media.heard()) > -50, "and the reception the caller"
    await until(lambda: any(m.start.startswith("BYE") for m in world.reception.seen))
    assert (await world.stack.get("/calls"))["active"] == []


async def test_calls_that_nobody_ends_end_politely(world: World, tmp_path: Path) -> None:
    silent, brief = await asyncio.gather(
        world.call("silent", tmp_path, "listen = true"), world.call("brief", tmp_path, "listen = true")
    )
    assert outcomes(silent.record) == ["greeting", "prompt", "goodbye"]
    assert silent.record["reason"] == "agent_hung_up"
    assert outcomes(brief.record) == ["greeting", "goodbye"]
    assert brief.record["reason"] == "max_duration"
    for placed in (silent, brief):
        last = placed.record["turns"][-1]
        assert last["agent_heard"] == last["agent_sent"], "to the last word"
        assert placed.heard[-RATE // 5 :].astype(float).std() < 200, "and a moment of silence after it"


@asynccontextmanager
async def somebody(folder: Path, *steps: str, end: str = 'ended_by = "agent"') -> AsyncIterator[tuple[str, Any]]:
    """A caller's process that waits to be called; yields its address and the process."""
    folder.mkdir()
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest.caller", scenario(folder / "steps.toml", *steps, end=end),
        "--answer", str(port), "--ring", "60", "--out", str(folder), cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        await line_of(process, b"ready")
        yield f"sip:patient@127.0.0.1:{port}", process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line_of(process: asyncio.subprocess.Process, beginning: bytes) -> bytes:
    """The next line of a process that begins so; the SIP library writes lines of its own."""
    assert process.stdout is not None
    async for line in process.stdout:
        if line.startswith(beginning):
            return line
    raise AssertionError("the process has ended")


async def dial(world: World, target: str, agent: str) -> tuple[int, str, str]:
    """`python -m agent dial`: exit code and what it says."""
    environment = {
        "TRUNKLINE_AGENT_VAR": str(world.stack.options.data),
        "TRUNKLINE_AGENT_HTTP_PORT": str(world.stack.options.ports.http),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent", "dial", target, "--agent", agent, cwd=ROOT, env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, complained = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode().strip(), complained.decode().strip()


async def test_a_call_out_is_a_whole_conversation(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "patient"
    steps = 'say = "Hello, where are you?"', 'say = "Thank you, goodbye."'
    async with somebody(folder, *steps) as (target, process):
        code, call_id, complaint = await dial(world, target, "tells")
        assert (code, complaint) == (0, "")
        told = await world.told_of(call_id)
        said, _ = await process.communicate()
        assert process.returncode == 0, said
    assert (told["direction"], told["reason"]) == ("outbound", "agent_hung_up")
    answer = next(turn for turn in told["turns"] if turn["caller"])
    assert word_error("Hello, where are you?", answer["caller"]) < 0.5
    assert "12 Harbour Street" in answer["agent_heard"]
    report, _, heard = caller.read(folder)
    assert report.ended_by == "agent"
    assert audible(heard, 0, len(heard) / RATE) > 0.2


async def test_a_call_out_is_hung_up_through_the_interface(world: World, tmp_path: Path) -> None:
    code, _, complaint = await dial(world, "+12025550123", "tells")
    assert code == 1
    assert complaint.startswith("refused: ")
    headers = {"Authorization": f"Bearer {world.stack.token}"}
    async with (
        somebody(tmp_path / "patient", "pause = 60", end='ended_by = "agent"') as (target, process),
        aiohttp.ClientSession(world.stack.http_address, headers=headers) as session,
    ):
        async with session.post("/calls", json={"to": target, "agent": "tells"}) as reply:
            assert reply.status == 201
            call_id = (await reply.json())["id"]
        assert json.loads(await line_of(process, b"{"))["kind"] == "agent_started"
        async with session.delete(f"/calls/{call_id}") as reply:
            assert reply.status == 202
        told = await world.told_of(call_id)
        await process.wait()
    assert told["reason"] == "agent_hung_up"
    report, _, _ = caller.read(tmp_path / "patient")
    assert report.ended_by == "agent"


async def test_the_agent_does_not_interrupt_itself_through_a_loudspeaker(world: World, tmp_path: Path) -> None:
    """What the caller's telephone hears comes back at -20 dB: that is not the caller, who still gets through."""
    placed = await place_call(world.stack, "speakerphone", tmp_path, called="hands-on")
    assert placed.complaint == ""
    record = placed.record
    assert len(at(record, "interruption")) == 1, "the caller's own"
    assert at(record, "resumed") == [], "not one false pause"
    asked = [turn for turn in record["turns"] if turn["caller"]]
    expected = [event.text for event in placed.report.events if event.kind in ("say", "interrupt")]
    assert len(asked) == len(expected), "the agent's voice is no question"
    for turn, words in zip(asked, expected, strict=True):
        assert word_error(words, turn["caller"]) <= 0.5, (words, turn["caller"])
    assert [turn["outcome"] for turn in asked] == ["answered", "answered", "interrupted", "answered", "answered"]
    assert "5 PM" not in asked[2]["agent_heard"], "it stopped"
    assert "12 Harbour Street" in asked[3]["agent_heard"]
