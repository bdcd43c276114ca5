"""A process that is killed while it writes leaves records and recordings that can be used."""

import asyncio
import signal
import sqlite3
import sys
import wave
from pathlib import Path

from agent.store import Store

WRITER = """
import asyncio, sys
from pathlib import Path
import numpy as np
from agent.store import Store, TurnRow
from agent.telephony.leg import CallInfo

async def main():
    async with Store.open(Path(sys.argv[1])) as store:
        record = store.begin(CallInfo("killed", "inbound", "+441", "+442", "sip"), "a")
        record.connected("PCMU", 8000)
        recorder = record.recorder(8000)
        frame = np.full(160, 1000, dtype=np.int16)
        for n in range(100_000):
            recorder.add(n * 160, frame, frame)
            record.event("tick", n / 50)
            if n % 50 == 0:
                record.turn(TurnRow(n // 50, "answered", caller="some words", marks={"caller_stopped": n / 50}))
            if n % 25 == 0:
                await store.flush()
            if n == 500:
                print("well under way", flush=True)

asyncio.run(main())
"""


async def test_kill_minus_nine_leaves_a_readable_record_and_a_playable_file(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"well under way\n"
    # Seen from another process while the writer lives: the call is up, and not ours to end.
    async with Store.open(tmp_path) as store:
        assert [call.reason for call in await store.calls()] == [None]
    process.send_signal(signal.SIGKILL)
    await process.wait()

    assert sqlite3.connect(tmp_path / "calls.sqlite").execute("PRAGMA integrity_check").fetchone() == ("ok",)
    async with Store.open(tmp_path) as store:
        found = await store.call("killed")
        path = await store.recording("killed")
    assert found is not None
    assert path is not None
    assert found.call.reason == "interrupted"
    assert found.call.ended is not None
    assert found.call.connected is not None
    assert found.call.ended > found.call.connected
    ticks = [event.at for event in found.events]
    assert len(ticks) > 450
    assert ticks == [n / 50 for n in range(len(ticks))]
    assert len(found.turns) >= 10
    with wave.open(str(path)) as file:
        sound = file.readframes(file.getnframes())
        assert file.getnframes() >= 8000 * 9
    assert len(sound) == file.getnframes() * 4
    assert {sound[i : i + 2] for i in range(0, len(sound), 2)} == {(1000).to_bytes(2, "little")}
    assert not list((tmp_path / "processes").iterdir())
