"""Callers and processes that want the same slots, processes that die, calendars that cannot be used."""

import asyncio
import json
import sqlite3
import sys
from pathlib import Path

import pytest

from agent.errors import StartError
from agent.tools import Calendar, Toolbox, ToolContext, ToolResult
from tests.agent.tools.support import MONDAY, ask, booked, desk, toolbox


async def test_twenty_calls_want_one_slot_and_one_gets_it(tools: Toolbox, tmp_path: Path) -> None:
    results = await asyncio.gather(
        *(ask(tools, "book_appointment", name=f"Caller {n}", day=MONDAY, time="10:00") for n in range(20))
    )
    assert [result.get("error") for result in results].count("slot_taken") == 19
    assert len(booked(tmp_path)) == 1


async def test_interrupted_bookings_leave_one_appointment_or_none(tmp_path: Path) -> None:
    wish = {"name": "Ann Lee", "day": MONDAY, "time": "10:00"}
    async with toolbox(tmp_path) as box:
        task = asyncio.create_task(ask(box, "book_appointment", "one", **wish))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert "error" not in await ask(box, "book_appointment", "one", **wish)
    assert booked(tmp_path) == [("Ann Lee", MONDAY, "10:00")]


RACER = """
import asyncio, json, sys
from pathlib import Path
from tests.agent.tools.support import MONDAY, toolbox
from agent.tools import ToolContext

async def main(directory, me):
    async with toolbox(Path(directory)) as box:
        print("ready", flush=True)
        sys.stdin.readline()
        for n, at in enumerate(("09:00", "09:30", "10:00", "10:30", "11:00", "11:30", "13:00", "13:30")):
            wish = json.dumps({"name": f"Racer {me}", "day": MONDAY, "time": at})
            result = await box.call("book_appointment", wish, ToolContext(me, str(n)))
            print(json.loads(result.content_json).get("error", "won"))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_two_processes_want_the_same_slots_and_each_slot_is_won_once(tmp_path: Path) -> None:
    pipe = asyncio.subprocess.PIPE
    racers = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", RACER, str(tmp_path), me, stdin=pipe, stdout=pipe)
        for me in ("A", "B")
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert await racer.stdout.readline() == b"ready\n"
    outputs = [
        out.decode().split() for out, _ in await asyncio.gather(*(racer.communicate(b"go\n") for racer in racers))
    ]
    assert all({one, other} == {"won", "slot_taken"} for one, other in zip(*outputs, strict=True))
    assert len(booked(tmp_path)) == 8


BOOKER = """
import asyncio, sys
from pathlib import Path
from tests.agent.tools.support import toolbox
from tests.agent.tools.test_calendar_faults import book_tuesday

async def main():
    async with toolbox(Path(sys.argv[1])) as box:
        for n in range(16):
            print((await book_tuesday(box, n)).repeated, flush=True)

asyncio.run(main())
"""


async def book_tuesday(box: Toolbox, number: int) -> ToolResult:
    """Book the day's slot of that number, 0 to 15, with a key that follows from it."""
    at = f"{9 + number // 2:02d}:{number % 2 * 30:02d}"
    wish = json.dumps({"name": f"Caller {number}", "day": "2026-03-03", "time": at})
    return await box.call("book_appointment", wish, ToolContext("call", str(number)))


@pytest.mark.parametrize("alive", [1, 4])
async def test_a_process_killed_while_it_books_leaves_each_booking_done_once_or_not_at_all(
    tmp_path: Path, alive: int
) -> None:
    booker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BOOKER, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert booker.stdout is not None
    for _ in range(alive):
        assert await booker.stdout.readline() == b"False\n"
    booker.kill()
    await booker.wait()
    before = booked(tmp_path)
    assert len(before) >= alive
    async with toolbox(tmp_path) as box:
        results = [await book_tuesday(box, number) for number in range(16)]
    assert not any(result.failed for result in results)
    assert [result.repeated for result in results].count(True) == len(before)
    assert len(booked(tmp_path)) == 16


async def test_a_locked_calendar_is_an_answer_not_a_crash(tmp_path: Path) -> None:
    async with toolbox(tmp_path, desk().model_copy(update={"tool_seconds": 0.2})) as box:
        other = sqlite3.connect(tmp_path / "calendar.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        result = await ask(box, "book_appointment", name="Ann Lee", day=MONDAY, time="10:00")
        assert result["error"] == "timeout"
        other.execute("ROLLBACK")
        other.close()


async def test_a_broken_calendar_is_an_answer_not_a_crash(tools: Toolbox, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "calendar.sqlite") as connection:
        connection.execute("DROP TABLE appointments")
    assert (await ask(tools, "find_slots", day=MONDAY))["error"] == "unavailable"


@pytest.mark.parametrize("kind", ["directory", "garbage", "other", "newer"])
async def test_a_calendar_that_cannot_be_used_is_one_clear_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "calendar.sqlite"
    match kind:
        case "directory":
            path.mkdir()
        case "garbage":
            path.write_bytes(b"this is not a database, whatever its name says. " * 50)
        case "other":
            with sqlite3.connect(path) as connection:
                connection.execute("CREATE TABLE x (y)")
        case "newer":
            async with Calendar.open(path, desk().calendar):
                pass
            with sqlite3.connect(path) as connection:
                connection.execute("PRAGMA user_version = 7")
    with pytest.raises(StartError) as caught:
        async with Calendar.open(path, desk().calendar):
            pass
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
