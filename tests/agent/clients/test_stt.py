"""Ears over real gRPC: what is heard is the same whatever happens to the workers."""

import asyncio
import json
from typing import Any

import numpy as np
import pytest

from agent.clients import SpeechToText
from agent.clients.types import EarBack, EarLost, Partial, Transcript, TranscriptKind
from services.errors import Busy, InternalError, InvalidRequest, Unavailable
from services.telemetry import JsonFormatter
from tests.waiting import LONG, until

FINAL, SPECULATIVE = TranscriptKind.FINAL, TranscriptKind.SPECULATIVE


def frame(position: int) -> np.ndarray:
    return (np.arange(position, position + 160) % 700).astype(np.int16)


def say(ear: Any, first: int, end: int) -> None:
    for position in range(first, end, 160):
        ear.audio(position, frame(position))


def checksum(start: int, through: int, *spoken: tuple[int, int]) -> str:
    total = sum(int((np.arange(max(a, start), min(b, through)) % 700).sum()) for a, b in spoken if b > start)
    return f"{start}-{through}:{total}"


async def transcript(events: Any) -> Transcript:
    async with asyncio.timeout(LONG):
        async for event in events:
            if isinstance(event, Transcript):
                return event
    raise AssertionError("no transcript")


async def test_frames_are_batched_gaps_are_not_sent_and_words_come_back(worker: Any, workers: Any) -> None:
    one = await worker("stt")
    async with SpeechToText(workers(one)).open("c", 8000, "en", ("Ödegaard",)) as ear:
        await until(lambda: one.servicer.streams)
        say(ear, 0, 3200)
        say(ear, 8000, 8480)
        ear.transcribe(1, 8480, FINAL)
        events = ear.events()
        heard = await transcript(events)
    assert heard.text == checksum(0, 8480, (0, 3200), (8000, 8480))
    assert (heard.request_id, heard.kind, heard.through) == (1, FINAL, 8480)
    assert heard.words[0].end == 8480
    messages = one.servicer.streams[0]
    assert messages[0].open.hints.phrases == ["Ödegaard"]
    sent = [(m.audio.first_sample, len(m.audio.data) // 2) for m in messages if m.WhichOneof("message") == "audio"]
    assert sent == [(0, 640), (640, 640), (1280, 640), (1920, 640), (2560, 640), (8000, 480)]


async def test_partials_arrive_unasked(worker: Any, workers: Any) -> None:
    one = await worker("stt")
    async with SpeechToText(workers(one)).open("c", 8000) as ear:
        say(ear, 0, 640)
        assert await anext(ear.events()) == Partial("so far", "640", 640)


async def test_a_killed_worker_is_replaced_and_told_everything(worker: Any, workers: Any) -> None:
    one, other = await worker("stt"), await worker("stt")
    async with SpeechToText(workers(one, other)).open("c", 8000) as ear:
        events = ear.events()
        say(ear, 0, 4000)
        ear.transcribe(1, 4000, FINAL)
        await transcript(events)
        say(ear, 4800, 8000)
        await until(lambda: any(m.audio.first_sample > 6000 for m in one.servicer.streams[0]))
        one.servicer.faults.set(held=True)
        ear.transcribe(2, 8000, FINAL)
        await one.kill()
        heard = await transcript(events)
    assert (heard.request_id, heard.text) == (2, checksum(0, 8000, (4800, 8000)))
    assert not [
        m for m in other.servicer.streams[0] if m.WhichOneof("message") == "audio" and m.audio.first_sample < 4000
    ]


async def test_a_process_killed_and_started_again_on_its_port(process: Any, workers: Any) -> None:
    one = process("stt")
    async with SpeechToText(workers(one)).open("c", 8000) as ear:
        events = ear.events()
        say(ear, 0, 4000)
        assert isinstance(await anext(events), Partial)
        one.kill()
        ear.transcribe(7, 4000, SPECULATIVE)
        await asyncio.to_thread(process, "stt", one.port)
        heard = await transcript(events)
    assert (heard.request_id, heard.kind, heard.text) == (7, SPECULATIVE, checksum(0, 4000, (0, 4000)))


async def test_lost_is_told_once_and_back_when_it_is(
    worker: Any, workers: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agent.clients.stt.PATIENCE", 1.0)
    one = await worker("stt")
    async with SpeechToText(workers(one)).open("c", 8000) as ear:
        events = ear.events()
        say(ear, 0, 640)
        await anext(events)
        await one.kill()
        ear.transcribe(1, 640, FINAL)
        lost = await anext(events)
        assert isinstance(lost, EarLost)
        told = json.loads(JsonFormatter().format(caplog.records[-1]))
        assert (told["level"], told["workers"]) == ("error", [one.target])
        again = await worker("stt", port=one.port)
        rest = [await anext(events) for _ in range(3)]
        assert rest[0] == EarBack()
        assert [type(event) for event in rest[1:]] == [Partial, Transcript]
        assert len(again.servicer.streams) == 1


async def test_drain_waits_for_the_final_and_moves(worker: Any, workers: Any) -> None:
    one, other = await worker("stt"), await worker("stt")
    async with SpeechToText(workers(one, other)).open("c", 8000) as ear:
        events = ear.events()
        one.servicer.faults.set(held=True)
        say(ear, 0, 1600)
        ear.transcribe(1, 1600, FINAL)
        await until(lambda: one.servicer.streams and one.servicer.streams[0])
        await until(lambda: one.servicer.streams[0][-1].WhichOneof("message") == "transcribe")
        one.servicer.faults.set(draining=True)
        await asyncio.sleep(0.05)
        assert not other.servicer.streams
        one.servicer.faults.set(held=False)
        assert (await transcript(events)).request_id == 1
        await until(lambda: other.servicer.streams and one.servicer.ended == 1)
        say(ear, 1600, 2400)
        ear.transcribe(2, 2400, FINAL)
        assert (await transcript(events)).text == checksum(0, 2400, (1600, 2400))


async def test_a_draining_worker_is_kept_while_there_is_no_other(worker: Any, workers: Any) -> None:
    one = await worker("stt")
    async with SpeechToText(workers(one)).open("c", 8000) as ear:
        events = ear.events()
        say(ear, 0, 640)
        await anext(events)
        one.servicer.faults.set(draining=True)
        for request in (1, 2):
            ear.transcribe(request, 640, SPECULATIVE)
            assert (await transcript(events)).request_id == request
        assert len(one.servicer.streams) == 1


async def test_a_full_worker_is_left_alone_and_another_taken(worker: Any, workers: Any) -> None:
    one, other = await worker("stt"), await worker("stt")
    one.servicer.faults.on_open = Busy("full", retry_after=600)
    ears = SpeechToText(workers(one, other))
    for call in range(3):
        async with ears.open(f"c{call}", 8000) as ear:
            ear.transcribe(1, 0, FINAL)
            await transcript(ear.events())
    assert (len(one.servicer.streams), len(other.servicer.streams)) == (1, 3)


async def test_a_slow_open_is_given_up_for_another(worker: Any, workers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.clients.workers.OPEN_SECONDS", 1.0)
    one, other = await worker("stt"), await worker("stt")
    one.servicer.faults.slow_open = 600
    async with SpeechToText(workers(one, other)).open("c", 8000) as ear:
        ear.transcribe(1, 0, FINAL)
        events = ear.events()
        assert (await transcript(events)).request_id == 1


async def test_streams_take_turns(worker: Any, workers: Any) -> None:
    one, other = await worker("stt"), await worker("stt")
    ears = SpeechToText(workers(one, other))
    for call in range(4):
        async with ears.open(f"c{call}", 8000) as ear:
            ear.transcribe(1, 0, FINAL)
            await transcript(ear.events())
    assert (len(one.servicer.streams), len(other.servicer.streams)) == (2, 2)


async def test_hints_reach_the_worker_and_its_successor(worker: Any, workers: Any) -> None:
    one, other = await worker("stt"), await worker("stt")
    async with SpeechToText(workers(one, other)).open("c", 8000) as ear:
        ear.transcribe(1, 0, FINAL)
        events = ear.events()
        await transcript(events)
        ear.hints(("Nguyen",))
        await until(lambda: one.servicer.streams[0][-1].hints.phrases == ["Nguyen"])
        await one.kill()
        await until(lambda: other.servicer.streams)
        await until(lambda: other.servicer.streams[0])
        assert other.servicer.streams[0][0].open.hints.phrases == ["Nguyen"]


async def test_our_own_fault_ends_the_ear_with_the_workers_words(worker: Any, workers: Any) -> None:
    one = await worker("stt")
    one.servicer.faults.on_open = InvalidRequest("open.sample_rate", "11025 is none of 8000, 16000")
    async with SpeechToText(workers(one)).open("c", 8000) as ear:
        with pytest.raises(InvalidRequest, match=r"open\.sample_rate: 11025"):
            await anext(ear.events())


@pytest.mark.filterwarnings("ignore")
async def test_a_bug_in_the_worker_is_not_tried_for_ever(worker: Any, workers: Any) -> None:
    one = await worker("stt")
    one.servicer.faults.bug = True
    async with SpeechToText(workers(one)).open("c", 8000) as ear:
        async with asyncio.timeout(LONG):
            with pytest.raises(InternalError):
                await anext(ear.events())
    assert len(one.servicer.streams) == 3


async def test_partials_of_a_successor_that_catches_up_are_not_told(worker: Any, workers: Any) -> None:
    one, other = await worker("stt"), await worker("stt")
    async with SpeechToText(workers(one, other)).open("c", 8000) as ear:
        await until(lambda: one.servicer.streams)
        events = ear.events()
        say(ear, 0, 3200)
        assert [(await anext(events)).through for _ in range(5)] == [640, 1280, 1920, 2560, 3200]  # type: ignore[union-attr]
        await one.kill()
        await until(lambda: other.servicer.streams and len(other.servicer.streams[0]) == 4)
        say(ear, 3200, 3840)
        told = [(await anext(events)).through for _ in range(2)]  # type: ignore[union-attr]
    assert told == [3200, 3840]


async def test_a_worker_that_stops_reading_is_given_up(worker: Any, workers: Any) -> None:
    one, other = await worker("stt"), await worker("stt")
    one.servicer.faults.deaf = True
    async with SpeechToText(workers(one, other)).open("c", 8000) as ear:
        await until(lambda: one.servicer.streams and one.servicer.streams[0])
        spoken = 0
        async with asyncio.timeout(LONG):
            while not other.servicer.streams:
                ear.audio(spoken, np.ones(1600, np.int16))
                spoken += 1600
                await asyncio.sleep(0)
        ear.transcribe(1, spoken, FINAL)
        # Of so long a turn the last minute is left, and what has come since.
        heard = int((await transcript(ear.events())).text.split(":")[1])
    assert 60 * 8000 <= heard < spoken


async def test_many_calls_leave_nothing(worker: Any, workers: Any) -> None:
    one = await worker("stt")
    ears = SpeechToText(workers(one))

    async def call(name: str) -> None:
        async with ears.open(name, 8000) as ear:
            say(ear, 0, 1600)
            ear.transcribe(1, 1600, FINAL)
            await transcript(ear.events())

    for batch in range(5):
        await asyncio.gather(*(call(f"{batch}-{n}") for n in range(20)))
    await until(lambda: one.servicer.ended == 100)


async def test_a_fault_in_the_client_ends_the_events_and_shows_itself(worker: Any, workers: Any) -> None:
    one = await worker("stt")

    async def call() -> None:
        async with SpeechToText(workers(one)).open("c", 8000) as ear:
            ear._failover._terms = None  # type: ignore[assignment]
            with pytest.raises(InternalError, match="client"):
                await anext(ear.events())

    with pytest.raises(AttributeError):
        await call()


async def test_leaving_cancels_the_stream(worker: Any, workers: Any) -> None:
    one = await worker("stt")
    async with SpeechToText(workers(one)).open("c", 8000) as ear:
        ear.transcribe(1, 0, FINAL)
        await transcript(ear.events())
    await until(lambda: one.servicer.ended == 1)


async def test_an_error_in_the_call_leaves_nothing_behind(worker: Any, workers: Any) -> None:
    one = await worker("stt")

    async def call() -> None:
        async with SpeechToText(workers(one)).open("c", 8000):
            await until(lambda: one.servicer.streams)
            raise RuntimeError("call")

    with pytest.raises(RuntimeError, match="call"):
        await call()
    await until(lambda: one.servicer.ended == 1)


async def test_ready_when_any_serves(worker: Any, workers: Any) -> None:
    one, other = await worker("stt"), await worker("stt")
    both = workers(one, other)
    await one.kill()
    await both.wait_ready(LONG)
    health = await both.health()
    assert health[other.target] == "serving"
    assert health[one.target] != "serving"
    await other.kill()
    with pytest.raises(Unavailable, match=str(one.port)):
        await both.wait_ready(2)
