"""Real calls on loopback: SIP and RTP through the relay, the real workers as processes, a caller that speaks."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from loadtest.performance import Event
from scripts.onecall import PlacedCall, place_call
from scripts.stack import Stack, StackOptions, running

pytestmark = [pytest.mark.models, pytest.mark.realtime, pytest.mark.timeout(900)]

FOUR_QUESTIONS = """
title = "Four questions"
[[step]]
say = "What are your opening hours?"
[[step]]
say = "What is your address?"
[[step]]
say = "How much does a check-up cost?"
[[step]]
pause = 9
[[step]]
say = "Thank you. Goodbye."
"""


@contextlib.asynccontextmanager
async def watched(data: Path) -> AsyncIterator[Stack]:
    """A stack whose processes are started again when they die, as `make run` keeps them."""
    async with running(StackOptions(data=data)) as stack:
        watch = asyncio.create_task(stack.supervisor.watch())
        try:
            yield stack
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)


async def metrics(stack: Stack) -> str:
    async with aiohttp.ClientSession(stack.http_address) as session, session.get("/metrics") as reply:
        return await reply.text()


def answers(call: PlacedCall) -> list[dict[str, Any]]:
    return [turn for turn in call.record["turns"] if turn["caller"]]


async def test_a_booking_from_end_to_end(tmp_path: Path) -> None:
    async with running(StackOptions(data=tmp_path)) as stack:
        (tmp_path / "call").mkdir()
        call = await place_call(stack, "booking", tmp_path / "call")
        assert call.complaint == ""
        (booked,) = stack.appointments()
        assert (booked.name, booked.time) == ("Sarah Miller", "10:30")

        turns = answers(call)
        assert len(turns) >= 5
        for turn in turns:
            if turn["latency"] is not None:
                assert sum(turn["stages"].values()) == pytest.approx(turn["latency"], abs=1e-6)
        assert call.record["recording"]
        assert call.record["reason"] == "agent_hung_up"

        wire = [turn.latency for turn in call.wire_turns() if turn.latency is not None]
        assert len(wire) >= 5, "the relay saw the answers leave"

        numbers = await metrics(stack)
        for name in (
            "trunkline_turn_latency_seconds_count",
            'trunkline_turn_stage_seconds_count{stage="end_of_turn"}',
            'trunkline_turns_total{outcome="answered"}',
            'trunkline_calls_total{leg="sip",outcome="agent_hung_up"} 1.0',
            'trunkline_calls_active{leg="sip"} 0.0',
            "trunkline_worker_requests_total",
            "trunkline_event_loop_lag_seconds",
            "trunkline_playout_starved_frames_total",
            "trunkline_rtp_lost_packets_total",
        ):
            assert name in numbers
        logs = "".join(file.read_text(errors="replace") for file in (tmp_path / "log").glob("*.log")).lower()
        assert "miller" not in logs, "no word of a call reaches a log"
        assert "check-up" not in logs


async def test_each_worker_may_be_killed_in_mid_word(tmp_path: Path) -> None:
    (tmp_path / "scenario.toml").write_text(FOUR_QUESTIONS)
    (tmp_path / "call").mkdir()
    async with watched(tmp_path) as stack:
        loop = asyncio.get_running_loop()
        killed: list[str] = []

        def kill(name: str) -> None:
            pid = stack.supervisor.pid(name)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            killed.append(name)

        def hear(event: Event) -> None:
            if event.kind == "agent_started" and "llm" not in killed and len(said) == 1:
                loop.call_later(0.3, kill, "llm")
            if event.kind == "agent_started" and "tts" not in killed and len(said) == 2:
                loop.call_later(0.3, kill, "tts")
            if event.kind == "say":
                said.append(event.text)
                if len(said) == 3:
                    loop.call_later(0.5, kill, "stt")

        said: list[str] = []
        call = await place_call(stack, str(tmp_path / "scenario.toml"), tmp_path / "call", hear)
    assert sorted(killed) == ["llm", "stt", "tts"]
    heard = " ".join(turn["agent_heard"] for turn in call.record["turns"])
    for fact in ("12 Harbour Street", "90 dollars"):
        assert fact in heard
    asked = " ".join(turn["caller"] for turn in answers(call)).lower()
    assert "address" in asked
    assert "cost" in asked
