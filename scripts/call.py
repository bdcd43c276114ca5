"""`make call`: one real call on this machine, from set-up to verdict.

Starts the three workers and the agent on free ports, lets a simulated caller ring through a relay that stamps every
packet, shows who says what, then where the time of each turn went, the calendar, the recording, and what all of it
took. Exit code 0 only if the right appointment is in the calendar, the caller heard its day and time, at most 15 % of
the words that reached the caller are wrong, and memory and disk stay within their bounds.
"""

import argparse
import asyncio
import os
import shutil
import sys
import time
from datetime import datetime
from pathlib import Path

from rich.console import Console

from loadtest import caller
from loadtest.ears import Ears
from loadtest.scenario import Scenario, ScenarioError, expected_appointment, filled
from loadtest.scenarios import load, names
from loadtest.verdict import CallFacts, complaints
from loadtest.wire import WireError, WireTurn
from loadtest.wording import word_error
from scripts import summary
from scripts.onecall import CallFailed, PlacedCall, place_call
from scripts.screen import LiveCall, show_calendar, show_waterfall
from scripts.stack import ROOT, Stack, StackOptions, running
from scripts.supervisor import StartFailed, peak_bytes

NEEDED_BYTES = 300 * 10**6


async def call(console: Console, name: str, scenario: Scenario, folder: Path) -> list[str]:
    """Start, call, show; returns what was wrong, empty when all was right. Raises StartFailed, CallFailed."""

    def tell(program: str, what: str) -> None:
        console.print(f"  {program:6} {what}", highlight=False)

    console.print(f"[bold]{scenario.title}[/]: starting workers and agent")
    async with running(StackOptions(folder / "data"), tell) as stack:
        placed = await _live(console, stack, name, folder)
        facts = await _facts(console, scenario, stack, placed)
        memory = sum(stack.supervisor.peak_bytes().values()) + placed.peak_bytes + peak_bytes(os.getpid())
    wire = _wire(console, placed)
    show_waterfall(console, placed.record, wire, placed.report.began)
    show_calendar(console, facts.appointments)
    recording = _keep_recording(placed, folder)
    console.print(
        f"[bold]Recording[/]  {recording or 'none'}   [bold]what the caller heard[/]  {folder / 'caller.wav'}"
    )
    console.print(f"[bold]Record[/]     {folder / 'record.json'}   [bold]logs[/]  {folder / 'data' / 'log'}")
    costs = summary.resources(memory, summary.disk_bytes(Path(sys.prefix)) + summary.disk_bytes(folder))
    for figure in (summary.accuracy(word_error(facts.sent, facts.heard)), *costs):
        summary.show(console, figure)
    return [
        *placed.complaint.splitlines(),
        *complaints(scenario, expected_appointment(scenario, caller.today()), facts),
        *summary.exceeded(costs),
    ]


async def _live(console: Console, stack: Stack, name: str, folder: Path) -> PlacedCall:
    with LiveCall(console) as live:
        watching = asyncio.create_task(live.follow(stack))
        try:
            return await place_call(stack, name, folder, live.caller_event)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


async def _facts(console: Console, scenario: Scenario, stack: Stack, placed: PlacedCall) -> CallFacts:
    with console.status("listening to what the caller heard"):
        heard = await asyncio.to_thread(lambda: Ears().agent_said(placed.heard, placed.report.events))
    return CallFacts(
        sent=" ".join(turn["agent_heard"] for turn in placed.record["turns"]),
        heard=" ".join(heard),
        expected_words=tuple(filled(words, scenario, caller.today()) for words in scenario.expect.heard),
        appointments=tuple(stack.appointments()),
    )


def _wire(console: Console, placed: PlacedCall) -> list[WireTurn]:
    try:
        return placed.wire_turns()
    except WireError as error:
        console.print(f"[yellow]no times from the line: {error}[/]")
        return []


def _keep_recording(placed: PlacedCall, folder: Path) -> Path | None:
    """The agent's own recording, out of its data directory."""
    found = sorted((folder / "data" / "recordings").glob(f"**/*{placed.record['id']}*"))
    if not found:
        return None
    return Path(shutil.copy(found[0], folder / "recording.wav"))


def main() -> int:
    """0: all as expected; 1: not; 2: the scenario has a mistake."""
    parser = argparse.ArgumentParser(prog="python -m scripts.call", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--scenario", default="booking", help=f"{', '.join(names())}, or a .toml file")
    arguments = parser.parse_args()
    console, began = Console(), time.monotonic()
    try:
        scenario = load(arguments.scenario)
    except ScenarioError as error:
        console.print(f"[red]{error}[/]", highlight=False)
        return 2
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    folder = ROOT / "var" / "calls" / f"{stamp}-{Path(arguments.scenario).stem}"
    if (free := shutil.disk_usage(ROOT).free) < NEEDED_BYTES:
        console.print(
            f"[red]The disk is full: {free / 1e6:.0f} MB are free, {NEEDED_BYTES / 1e6:.0f} MB are needed.[/]"
        )
        return 1
    try:
        wrong = asyncio.run(call(console, arguments.scenario, scenario, folder))
    except (StartFailed, CallFailed) as error:
        console.print(f"[red]no call[/]  {error}", highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("stopped")
        return 130
    for line in wrong:
        console.print(f"[red]wrong[/]  {line}", highlight=False)
    summary.show(console, summary.duration(time.monotonic() - began))
    console.print("[red]The call did not go as expected[/]" if wrong else "[green]The call went as expected[/]")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
