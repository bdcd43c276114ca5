"""The contract of the service over real gRPC, with the engine that needs no model."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from prometheus_client import REGISTRY

from protos import common_pb2
from protos import text_to_speech_pb2 as pb
from services.errors import RETRY_AFTER
from tests.tts_worker.harness import Heard, Worker, assert_spans_cover, opening, phrase, running
from tests.waiting import LONG, until
from tts_worker.scripted import ScriptedEngine

TEXT = "A fairly long sentence, so that there are some messages to look at; and then some more."
MANY_WORDS = "word " * 400
FLUSH = pb.SynthesizeRequest(flush=pb.Flush())
STOP = pb.SynthesizeRequest(stop=pb.Stop())


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    async with running(places=2) as one:
        yield one


class HeldEngine(ScriptedEngine):
    """Once it is told to hold, works on a piece until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.released = threading.Event(), threading.Event()
        self.released.set()

    def hold(self) -> None:
        self.begun.clear()
        self.released.clear()

    def step(self, speeches: Any) -> Any:
        self.begun.set()
        assert self.released.wait(LONG)
        return super().step(speeches)


@pytest.mark.parametrize(
    ("rate", "encoding", "size"),
    [
        (8000, common_pb2.ENCODING_MULAW, 640),
        (8000, common_pb2.ENCODING_ALAW, 640),
        (8000, common_pb2.ENCODING_PCM_S16LE, 1280),
        (16000, common_pb2.ENCODING_PCM_S16LE, 2560),
        (24000, common_pb2.ENCODING_PCM_S16LE, 3840),
    ],
)
async def test_messages_are_80_ms_in_order_without_gaps(worker: Worker, rate: int, encoding: Any, size: int) -> None:
    heard = await worker.say(TEXT, "Second.", sample_rate=rate, encoding=encoding)
    assert heard.opened is not None
    assert (heard.opened.voice, heard.opened.sample_rate, heard.opened.worker_id) == ("heart", rate, "test")
    assert {len(a.data) for a in heard.audio} == {size}
    assert [a.phrase_id for a in heard.audio] == sorted(a.phrase_id for a in heard.audio)
    for number, text in ((1, TEXT), (2, "Second.")):
        audio = [a for a in heard.audio if a.phrase_id == number]
        assert [a.first_sample for a in audio] == [i * rate * 8 // 100 for i in range(len(audio))]
        assert_spans_cover(audio, text)
    assert all(len(a.resume) <= 100 for a in heard.audio)
    assert heard.done is not None
    assert heard.done.audio_seconds == pytest.approx(0.08 * len(heard.audio))
    assert 0 < heard.done.first_audio_seconds <= heard.done.total_seconds


async def test_the_same_seed_gives_the_same_sound_and_another_one_another(worker: Worker) -> None:
    first, again, other = [(await worker.say(TEXT, seed=seed)).sound() for seed in (5, 5, 6)]
    assert first == again
    assert first != other


async def test_without_a_seed_one_is_chosen_and_resumed_with(worker: Worker) -> None:
    heard, other = await worker.say(TEXT), await worker.say(TEXT)
    assert heard.sound() != other.sound()
    rest = await worker.say(TEXT, resume=heard.audio[4].resume)
    assert rest.sound() == b"".join(a.data for a in heard.audio[5:])


@pytest.mark.parametrize("kill_after", [0, 1, 40, 75, 76, -2])
async def test_another_worker_goes_on_without_a_seam(kill_after: int) -> None:
    texts = (MANY_WORDS[:400], "And another one.")
    async with running() as first, running() as second:
        whole = await first.say(*texts, first_id=7)
        blob = whole.audio[kill_after].resume
        named = whole.audio[kill_after].phrase_id
        rest = await second.say(*texts[named - 7 :], first_id=named, resume=blob)
    assert rest.audio == whole.audio[kill_after:][1:]


@pytest.mark.parametrize(
    ("requests", "code", "words"),
    [
        ([], "INVALID_ARGUMENT", "open: must be the first"),
        ([phrase(1, "x")], "INVALID_ARGUMENT", "open: must be the first"),
        ([opening(), opening()], "INVALID_ARGUMENT", "open: sent twice"),
        ([opening(), pb.SynthesizeRequest()], "INVALID_ARGUMENT", "message: empty"),
        ([opening(), phrase(1, "")], "INVALID_ARGUMENT", "phrase.text: 0 code points; valid: 1 to 2000"),
        ([opening(), phrase(1, "x" * 2001)], "INVALID_ARGUMENT", "phrase.text: 2001"),
        ([opening(), phrase(1, "x"), phrase(1, "y")], "INVALID_ARGUMENT", "phrase.phrase_id"),
        ([opening(), phrase(1, MANY_WORDS), FLUSH, phrase(2, "x")], "INVALID_ARGUMENT", "phrase: sent after flush"),
        ([opening(sample_rate=44100)], "INVALID_ARGUMENT", "open.sample_rate: 44100; valid: 8000, 16000, 24000"),
        ([opening(encoding=0)], "INVALID_ARGUMENT", "open.encoding"),
        ([opening(encoding=99)], "INVALID_ARGUMENT", "open.encoding"),
        ([opening(resume=b"\0" * 44)], "INVALID_ARGUMENT", "open.resume"),
        ([opening(speed=3.0)], "INVALID_ARGUMENT", "open.speed: 3; valid: 0.5 to 2"),
        ([opening(reference_audio=b"")], "INVALID_ARGUMENT", "open.reference_audio"),
        ([opening(voice="emma")], "NOT_FOUND", "valid: heart"),
    ],
)
async def test_wrong_requests_are_refused_by_field(
    worker: Worker, requests: list[pb.SynthesizeRequest], code: str, words: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await worker.exchange(requests)
    assert refused.value.code().name == code
    assert words in (refused.value.details() or "")
    await until(lambda: worker.studio.streams == 0)


async def test_stop_ends_after_the_phrase_under_way() -> None:
    engine = HeldEngine()
    async with running(lambda: engine) as worker:
        engine.hold()
        call = worker.stub.Synthesize()
        for request in (opening(), phrase(1, TEXT), phrase(2, TEXT), STOP):
            await call.write(request)
        assert (await call.read()).HasField("opened")
        await until(engine.begun.is_set)
        await asyncio.sleep(0.5)  # until the worker has read what was written
        engine.released.set()
        heard = Heard()
        while heard.done is None:
            heard.take(await call.read())
        assert {a.phrase_id for a in heard.audio} == {1}


async def test_phrases_may_come_while_others_sound_and_closing_is_flushing(worker: Worker) -> None:
    call = worker.stub.Synthesize()
    await call.write(opening())
    heard = Heard()
    heard.take(await call.read())
    for number in range(1, 4):
        await call.write(phrase(number, "Short one."))
        while not (heard.audio and heard.audio[-1].phrase_id == number and heard.audio[-1].last_of_phrase):
            heard.take(await call.read())
    await call.done_writing()
    heard.take(await call.read())
    assert heard.done is not None


async def test_a_full_worker_says_when_to_try_again(worker: Worker) -> None:
    calls = [worker.stub.Synthesize() for _ in range(2)]
    for call in calls:
        await call.write(opening())
        await call.read()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await worker.say(TEXT)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert int(dict(refused.value.trailing_metadata() or ())[RETRY_AFTER]) > 0
    calls[0].cancel()
    await until(lambda: worker.studio.streams == 1)
    assert (await worker.say(TEXT)).done is not None
    calls[1].cancel()


async def test_a_client_that_does_not_read_blocks_only_itself_and_frees_its_place_when_cancelled(
    worker: Worker,
) -> None:
    stuck = worker.stub.Synthesize()
    await stuck.write(opening(sample_rate=24000))
    for number in range(1, 30):
        await stuck.write(phrase(number, MANY_WORDS[:2000]))
    await asyncio.sleep(0.3)
    for _ in range(3):
        assert (await worker.say(TEXT)).done is not None
    stuck.cancel()
    await until(lambda: worker.studio.streams == 0)


async def test_cancelling_while_the_engine_works_frees_the_place_at_once() -> None:
    engine = HeldEngine()
    async with running(lambda: engine) as worker:
        engine.hold()
        call = worker.stub.Synthesize()
        await call.write(opening())
        await call.write(phrase(1, TEXT))
        await call.read()
        await until(engine.begun.is_set)
        call.cancel()
        await until(lambda: worker.studio.streams == 0)
        assert not engine.released.is_set(), "the engine is still at work"
        engine.released.set()


async def test_draining_is_told_once_and_the_stream_goes_on(worker: Worker) -> None:
    call = worker.stub.Synthesize()
    await call.write(opening())
    assert (await call.read()).HasField("opened")
    worker.drain.begin(20)
    heard = Heard()
    heard.take(await call.read())
    assert 5 < heard.draining[0].deadline_seconds <= 20
    await call.write(phrase(1, TEXT))
    await call.write(FLUSH)
    while heard.done is None:
        heard.take(await call.read())
    assert len(heard.draining) == 1
    assert heard.done is not None
    assert_spans_cover(heard.audio, TEXT)


async def test_speed_changes_the_length(worker: Worker) -> None:
    slow, fast = [len((await worker.say(TEXT, speed=speed)).audio) for speed in (0.5, 2.0)]
    assert 3.5 < slow / fast < 4.5


async def test_guidance_is_taken_and_changes_nothing_here(worker: Worker) -> None:
    assert (await worker.say(TEXT, seed=1, guidance=2.0)).sound() == (await worker.say(TEXT, seed=1)).sound()


async def test_streams_and_times_are_counted(worker: Worker) -> None:
    def value(name: str) -> float:
        return REGISTRY.get_sample_value(f"trunkline_tts_{name}") or 0.0

    names = ("first_audio_seconds_count", "step_seconds_count", "streams")
    await until(lambda: value("streams") == 0)  # those of the tests before
    before = [value(name) for name in names]
    call = worker.stub.Synthesize()
    await call.write(opening())
    await call.read()
    assert value("streams") == before[2] + 1
    await call.write(phrase(1, TEXT))
    await call.done_writing()
    while await call.read() is not grpc.aio.EOF:
        pass
    await until(lambda: value("streams") == before[2])
    assert [value(name) for name in names] == [before[0] + 1, before[1] + 1, before[2]]


async def test_several_engine_threads_share_the_streams() -> None:
    together, measured = threading.Barrier(2, timeout=LONG), threading.Event()

    class Paired(ScriptedEngine):
        """Each step waits for another one on another thread, once that is measured."""

        def step(self, speeches: Any) -> Any:
            if measured.is_set():
                together.wait()
            return super().step(speeches)

    async with running(Paired, threads=2) as worker:
        measured.set()
        for heard in await asyncio.gather(worker.say("One."), worker.say("Two.")):
            assert heard.done is not None


class BrokenEngine(ScriptedEngine):
    """Fails at texts that say so."""

    def step(self, speeches: Any) -> Any:
        if any("broken" in speech.text for speech in speeches):
            raise RuntimeError("the model met a bug")
        return super().step(speeches)


async def test_a_bug_in_the_engine_ends_its_stream_only() -> None:
    async with running(BrokenEngine) as worker:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await worker.say("This is broken.")
        assert failed.value.code() == grpc.StatusCode.INTERNAL
        assert (await worker.say(TEXT)).done is not None
        await until(lambda: worker.studio.streams == 0)
