"""One simulated call to a running stack, through a relay: what caller, wire and agent's record say of it."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.audio import Samples
from loadtest import caller, capture
from loadtest.capture import Packet
from loadtest.performance import Event
from loadtest.relay import Impairment
from loadtest.wire import WireTurn, turns
from scripts.stack import ROOT, Stack
from scripts.supervisor import peak_bytes

CAPTURE_FILE = "capture.npz"
RECORD_FILE = "record.json"
CALL_SECONDS = 180.0
"""A simulated call longer than this is broken."""
_RECORD_SECONDS = 5.0

Hear = Callable[[Event], None]


class CallFailed(Exception):
    """There was no call to speak of; the text says why."""


@dataclass(frozen=True)
class PlacedCall:
    """A call that is over."""

    folder: Path
    report: caller.Report
    said: Samples
    heard: Samples
    packets: list[Packet]
    record: Mapping[str, Any]
    """As the agent's HTTP interface shows it."""
    peak_bytes: int
    """Most memory of the caller's process and the relay's."""
    complaint: str
    """What the caller found wrong; empty when all went as its scenario expects."""

    def wire_turns(self) -> list[WireTurn]:
        """The true times. Raises WireError."""
        return turns(self.packets, self.report.events, self.said, self.report.began)


@asynccontextmanager
async def relayed(
    target: tuple[str, int], path: Path, impairment: Impairment
) -> AsyncIterator[tuple[tuple[str, int], int]]:
    """A relay to `target` in a process of its own; yields where to call and the process's id, and writes its capture to
    `path` at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest.relay", "--to", f"{target[0]}:{target[1]}", "--capture", str(path),
        "--loss", str(impairment.loss), "--jitter-ms", str(impairment.jitter * 1000), "--seed", str(impairment.seed),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            raise CallFailed("the relay did not start")
        address = json.loads(line)
        yield (address["host"], address["port"]), process.pid
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def place_call(
    stack: Stack,
    scenario: str,
    folder: Path,
    hear: Hear = lambda _: None,
    impairment: Impairment | None = None,
    longest: float = CALL_SECONDS,
    called: str = "agent",
) -> PlacedCall:
    """Call the number `called` of the stack once, with `hear` told of the caller's events as they happen. Raises
    CallFailed, also when the call takes more than `longest` seconds."""
    known = {call["id"] for call in await calls(stack)}
    async with relayed(stack.sip_address, folder / CAPTURE_FILE, impairment or Impairment()) as (address, relay):
        complaint, peak = await _run_caller(scenario, f"sip:{called}@{address[0]}:{address[1]}", folder, hear, longest)
        record = await _record(stack, known, called)
        peak += peak_bytes(relay)
    (folder / RECORD_FILE).write_text(json.dumps(record, indent=1), encoding="utf-8")
    report, said, heard = caller.read(folder)
    return PlacedCall(folder, report, said, heard, capture.load(folder / CAPTURE_FILE), record, peak, complaint)


async def _run_caller(scenario: str, target: str, folder: Path, hear: Hear, longest: float) -> tuple[str, int]:
    """What the caller complained of (its exit code tells that it did), and the most memory it had."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest.caller", scenario, "--to", target, "--out", str(folder), cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    peak = 0
    try:
        async with asyncio.timeout(longest):
            async for line in process.stdout:
                if line.startswith(b"{"):  # the SIP library writes there too, of datagrams that are no SIP
                    hear(Event(**json.loads(line)))
                peak = peak_bytes(process.pid) or peak
            complaint = (await process.stderr.read()).decode("utf-8", "replace").strip()
            code = await process.wait()
    except TimeoutError:
        raise CallFailed(f"the call was still up after {longest:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code not in (0, 1):
        raise CallFailed(complaint.splitlines()[-1] if complaint else f"the caller ended with exit code {code}")
    return complaint if code else "", peak


async def calls(stack: Stack) -> list[dict[str, Any]]:
    """The agent's list of calls, newest first."""
    listed: list[dict[str, Any]] = (await stack.get("/calls"))["calls"]
    return listed


async def _record(stack: Stack, known: set[str], called: str) -> Mapping[str, Any]:
    """The record of the call to this number that was not there before, once it has ended."""
    deadline = asyncio.get_running_loop().time() + _RECORD_SECONDS
    while True:
        fresh = [call for call in await calls(stack) if call["id"] not in known and call["called"] == called]
        if fresh and fresh[0]["ended"]:
            record: Mapping[str, Any] = await stack.get(f"/calls/{fresh[0]['id']}")
            return record
        if asyncio.get_running_loop().time() > deadline:
            raise CallFailed("the agent's record does not show the call as ended")
        await asyncio.sleep(0.1)
