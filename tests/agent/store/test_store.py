"""Records of calls on a real SQLite file."""

import asyncio
import os
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.audio import silence
from agent.errors import StartError
from agent.store import Store, TurnRow, WordRow
from agent.store.liveness import ProcessMark
from agent.store.schema import connect
from agent.store.store import INTERRUPTED
from agent.store.writer import Writer
from agent.telephony.leg import CallInfo, EndReason
from tests.waiting import LONG

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Clock:
    """A wall clock that a test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **duration: float) -> None:
        self.now += timedelta(**duration)


def info(call_id: str = "call-1") -> CallInfo:
    return CallInfo(call_id, "inbound", "+441", "+442", "sip")


def turn(index: int = 0, **values: object) -> TurnRow:
    return TurnRow(index, "answered", **values)  # type: ignore[arg-type]


async def test_a_call_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    clock = Clock()
    row = turn(
        caller="a table please",
        agent_sent="Certainly, for when?",
        agent_heard="Certainly,",
        marks={"caller_stopped": 1.5, "agent_started": 2.1},
        stages={"endpoint": 0.4, "rest": 0.2},
        latency=0.6,
        interrupted=True,
        words=(WordRow("a", 0.1, 0.2), WordRow("table", 0.2, 0.6)),
    )
    async with Store.open(tmp_path, clock) as store:
        record = store.begin(info(), "frontdesk")
        clock.pass_(seconds=3)
        record.connected("PCMU", 8000)
        record.turn(row)
        record.event("tool", 1.75, name="find_slots", result={"slots": ["09:00"]})
        clock.pass_(seconds=60)
        record.ended(EndReason.CALLER_HUNG_UP, "BYE", {"turns": 1})
        found = await store.call("call-1")
    assert found is not None
    assert found.turns == (row,)
    assert [(event.at, event.kind, event.data["name"]) for event in found.events] == [(1.75, "tool", "find_slots")]
    call = found.call
    assert (call.started, call.connected, call.ended) == (
        "2026-03-02T09:00:00.000+00:00",
        "2026-03-02T09:00:03.000+00:00",
        "2026-03-02T09:01:03.000+00:00",
    )
    assert (call.reason, call.detail, call.summary) == ("caller_hung_up", "BYE", {"turns": 1})
    assert (call.caller, call.called, call.codec, call.rate, call.recording) == ("+441", "+442", "PCMU", 8000, False)


async def test_a_turn_grows_by_being_written_again(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        record = store.begin(info(), "a")
        record.turn(turn(caller="half"))
        record.turn(turn(caller="half a sentence", latency=0.5))
        found = await store.call("call-1")
    assert found is not None
    assert [row.caller for row in found.turns] == ["half a sentence"]


async def test_the_first_end_counts_and_nothing_comes_back_to_life(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        record = store.begin(info(), "a")
        record.ended(EndReason.BUSY)
        record.ended(EndReason.FAILED)
        record.connected("PCMU", 8000)
        found = await store.call("call-1")
    assert found is not None
    assert (found.call.reason, found.call.connected) == ("busy", None)


async def test_masked_digits_leave_only_their_number(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        record = store.begin(info(), "a")
        record.digits(1.0, "123")
        record.digits(2.0, "98765", masked=True)
    text = (tmp_path / "calls.sqlite").read_bytes()
    assert b"98765" not in text
    assert b"123" in text


async def test_paging_goes_from_new_to_old(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        for number in range(5):
            store.begin(info(f"call-{number}"), "a").ended("failed")
        first = await store.calls(limit=2)
        second = await store.calls(limit=2, before=first[-1].id)
        third = await store.calls(limit=2, before=second[-1].id)
        nothing = await store.calls(before="unknown")
    assert [call.id for call in first + second + third] == [f"call-{n}" for n in (4, 3, 2, 1, 0)]
    assert nothing == []


async def test_delete_takes_everything_but_spares_a_call_that_goes_on(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        record = store.begin(info(), "a")
        record.turn(turn(caller="some words"))
        record.event("hold", 1.0)
        recorder = record.recorder(8000)
        recorder.add(0, silence(4000), silence(4000))
        assert not await store.delete("call-1")
        record.ended("failed")
        path = await store.recording("call-1")
        assert path is not None
        assert await store.delete("call-1")
        assert not await store.delete("call-1")
        assert await store.call("call-1") is None
        assert not path.exists()
    rows = sqlite3.connect(tmp_path / "calls.sqlite").execute(
        "SELECT (SELECT count(*) FROM turns) + count(*) FROM events"
    )
    assert rows.fetchone() == (0,)


async def test_sweep_follows_each_agents_days(tmp_path: Path) -> None:
    clock = Clock()
    async with Store.open(tmp_path, clock) as store:
        store.begin(info("short"), "weekly").ended("failed")
        store.begin(info("long"), "yearly").ended("failed")
        store.begin(info("kept"), "forgotten").ended("failed")
        store.begin(info("up"), "weekly")
        clock.pass_(days=6)
        retention = {"weekly": 7, "yearly": 365}
        assert await store.sweep(retention) == 0
        clock.pass_(days=2)
        assert await store.sweep(retention) == 1
        clock.pass_(days=365)
        assert await store.sweep(retention) == 1
        assert [call.id for call in await store.calls()] == ["up", "kept"]


async def test_sweep_deletes_old_recordings_that_no_call_knows(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        for name, age in (("old", 2 * 86_400), ("young", 60)):
            file = tmp_path / "recordings" / f"{name}.wav"
            file.write_bytes(b"x")
            moment = file.stat().st_mtime - age
            os.utime(file, (moment, moment))
        await store.sweep({})
    assert [file.stem for file in (tmp_path / "recordings").iterdir()] == ["young"]


async def test_two_processes_share_a_store_without_ending_each_others_calls(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as one:
        one.begin(info("of-one"), "a")
        await one.flush()
        async with Store.open(tmp_path) as two:
            two.begin(info("of-two"), "a")
            calls = await two.calls()
            assert {(call.id, call.reason) for call in calls} == {("of-one", None), ("of-two", None)}
    async with Store.open(tmp_path) as three:
        assert {call.reason for call in await three.calls()} == {INTERRUPTED}


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to be read as one" * 20, None])
async def test_a_file_that_is_no_record_is_refused_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "calls.sqlite"
    if content is None:
        sqlite3.connect(path).execute("CREATE TABLE other (x)").connection.close()
    else:
        path.write_bytes(content)
    with pytest.raises(StartError) as caught:
        async with Store.open(tmp_path):
            pass
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    async with Store.open(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "calls.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StartError, match="version 99 is newer"):
        async with Store.open(tmp_path):
            pass


async def test_a_disk_that_hangs_blocks_nobody_and_loses_only_what_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.store.writer.MOST_RECORDS", 3)
    monkeypatch.setattr("agent.store.writer.MOST_SOUND", 2)
    hangs, done = threading.Event(), []
    writer = Writer(lambda: connect(tmp_path / "x.sqlite"))
    await writer.start()
    started = threading.Event()

    def hang(_: sqlite3.Connection) -> None:
        started.set()
        hangs.wait()

    writer.put(hang)
    await asyncio.to_thread(started.wait)
    kept = [writer.put(lambda _, n=n: done.append(n)) for n in range(5)]
    sound = [writer.put(lambda _, n=n: done.append(n), sound=True) for n in range(10, 14)]
    hangs.set()
    await writer.close()
    assert kept == [True, True, True, False, False]
    assert sound == [True, True, False, False]
    assert done == [0, 1, 2, 10, 11]


async def test_one_failing_write_takes_no_other_with_it(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        record = store.begin(info(), "a")
        store.begin(info(), "the same id again")
        record.event("hold", 1.0)
        found = await store.call("call-1")
    assert found is not None
    assert found.call.agent == "a"
    assert len(found.events) == 1


async def test_a_bug_in_one_write_ends_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    writer, done = Writer(lambda: connect(tmp_path / "x.sqlite")), []

    def bug(_: sqlite3.Connection) -> None:
        raise ZeroDivisionError("the bug")

    await writer.start()
    writer.put(bug)
    writer.put(lambda _: done.append("written"))
    await writer.close()
    assert done == ["written"]
    assert "the bug" in caplog.text


async def test_what_cannot_be_stored_is_dropped_alone(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        record = store.begin(info(), "a")
        record.turn(turn(0, caller="half a pair \ud800"))
        record.turn(turn(1, caller="whole"))
        found = await store.call("call-1")
    assert found is not None
    assert [row.caller for row in found.turns] == ["whole"]


async def test_sweeping_goes_on_until_cancelled(tmp_path: Path) -> None:
    clock = Clock()
    async with Store.open(tmp_path, clock) as store:
        sweeping = asyncio.create_task(store.sweep_forever({"a": 1}, every=0.01))
        store.begin(info(), "a").ended("failed")
        await asyncio.sleep(0.05)  # some sweeps
        assert len(await store.calls()) == 1
        clock.pass_(days=2)
        async with asyncio.timeout(LONG):
            while await store.calls():  # noqa: ASYNC110 - there is no event for this
                await asyncio.sleep(0.01)
        sweeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sweeping


def test_marks_of_dead_processes_are_tidied_up_and_living_ones_stay(tmp_path: Path) -> None:
    one, two = ProcessMark(tmp_path), ProcessMark(tmp_path)
    (tmp_path / "dead.lock").touch()
    one.tidy()
    assert {mark.stem for mark in tmp_path.iterdir()} == {one.id, two.id}
    assert one.alive(two.id)
    assert two.alive(one.id)
    two.close()
    assert not one.alive(two.id)
    one.close()
    assert list(tmp_path.iterdir()) == []
