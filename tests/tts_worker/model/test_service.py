"""The flow-matching engine behind real gRPC: the servicer is the one of every engine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest
import soxr

from protos import common_pb2
from tests.tts_worker.harness import Worker, assert_spans_cover, opening, phrase, running
from tests.tts_worker.model.engines import TEXT, loaded, write_model
from tests.tts_worker.model.support import NANO
from tts_worker.build import engine_builder
from tts_worker.engine import EngineError
from tts_worker.room import Room
from tts_worker.settings import TtsSettings
from tts_worker.voxtral import VoxtralEngine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("served"))


def engine(folder: Path, slots: int = 3, ends_after: int = 20) -> VoxtralEngine:
    made = loaded(folder, slots, ends_after)
    made.load = lambda: None  # type: ignore[method-assign]  # it is loaded, and its ends are set
    return made


@asynccontextmanager
async def serving(made: VoxtralEngine) -> AsyncIterator[Worker]:
    """With a worker that refuses nobody for the time its steps take: a busy machine is no reason to fail."""
    async with running(lambda: made, places=4) as one:
        for desk in one.studio._desks:
            desk.line.step_time = None
        yield one


@pytest.fixture
async def worker(folder: Path) -> AsyncIterator[Worker]:
    async with serving(engine(folder)) as one:
        yield one


async def test_a_phrase_in_messages_of_80_ms(worker: Worker) -> None:
    heard = await worker.say(TEXT, "And another one.", voice="neutral_bert", seed=3)
    assert heard.opened is not None
    assert heard.opened.voice == "neutral_bert"
    for number, text in ((1, TEXT), (2, "And another one.")):
        audio = [message for message in heard.audio if message.phrase_id == number]
        assert len(audio) == 20
        assert_spans_cover(audio, text)
        assert audio[-1].last_of_phrase
    assert {len(message.data) for message in heard.audio} == {1280}


async def test_joins_between_pieces_cannot_be_heard(folder: Path) -> None:
    """At 8 kHz, where pieces are resampled one by one: no sample differs from the phrase resampled as a whole."""
    async with serving(engine(folder)) as one:
        heard = await one.say(TEXT, seed=3)
        wide = await one.say(TEXT, seed=3, sample_rate=24000)
    narrow = np.frombuffer(heard.sound(), "<i2").astype(np.float64)
    whole = np.frombuffer(wide.sound(), "<i2").astype(np.float64)
    reference = soxr.resample(np.concatenate((np.zeros(1200), whole, np.zeros(1200))), 24000, 8000, quality="HQ")
    reference = reference[400 - 80 : 400 - 80 + len(narrow)].clip(-32768, 32767)  # it lags by 10 ms
    assert np.abs(narrow - reference).max() <= 2


async def test_streams_speak_together_and_as_alone(worker: Worker) -> None:
    texts = [TEXT, "Yes.", "No, thank you, not today."]
    alone = [(await worker.say(text, seed=seed)).sound() for seed, text in enumerate(texts)]
    together = await asyncio.gather(*(worker.say(text, seed=seed) for seed, text in enumerate(texts)))
    for one, other in zip(together, alone, strict=True):
        difference = np.frombuffer(one.sound(), "<i2").astype(int) - np.frombuffer(other, "<i2").astype(int)
        assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("kill_after", [0, 4, 19, 25])
async def test_another_worker_goes_on_without_a_seam(folder: Path, kill_after: int) -> None:
    texts = (TEXT, "And another one.")
    async with serving(engine(folder)) as first, serving(engine(folder)) as second:
        whole = await first.say(*texts, first_id=7, seed=1)
        message = whole.audio[kill_after]
        rest = await second.say(*texts[message.phrase_id - 7 :], first_id=message.phrase_id, resume=message.resume)
    wanted = whole.audio[kill_after:][1:]
    assert [(a.phrase_id, a.first_sample) for a in rest.audio] == [(a.phrase_id, a.first_sample) for a in wanted]
    one, other = (np.frombuffer(b"".join(a.data for a in part), "<i2").astype(int) for part in (rest.audio, wanted))
    assert np.abs(one - other).max() <= 1


async def test_a_client_that_does_not_read_blocks_only_itself(worker: Worker) -> None:
    stuck = worker.stub.Synthesize()
    await stuck.write(opening(sample_rate=24000))
    for number in range(1, 30):
        await stuck.write(phrase(number, TEXT))
    for _ in range(3):
        assert (await worker.say("Yes.")).done is not None
    stuck.cancel()


async def test_cancelling_frees_the_slot(folder: Path) -> None:
    one_slot = engine(folder, slots=1, ends_after=100)
    async with serving(one_slot) as one:
        call = one.stub.Synthesize()
        await call.write(opening())
        await call.write(phrase(1, TEXT * 3))
        await call.read()
        await call.read()
        call.cancel()
        async with asyncio.timeout(20):
            while not one_slot._free:  # noqa: ASYNC110 - it is the engine's thread that frees it
                await asyncio.sleep(0.01)
        assert (await one.say("Yes.")).done is not None


async def test_more_phrases_than_slots_are_told_to_come_later(folder: Path) -> None:
    one_slot = engine(folder, slots=1, ends_after=100)
    async with serving(one_slot) as one:
        call = one.stub.Synthesize()
        await call.write(opening())
        await call.write(phrase(1, TEXT * 3))
        await call.read()
        await call.read()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await one.say("Yes.")
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        call.cancel()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"voice": "emma"}, "NOT_FOUND", "valid: fr_anna, neutral_bert"),
        ({"voice": "fr_anna", "language": "de"}, "INVALID_ARGUMENT", "voice fr_anna speaks fr-FR"),
        ({"speed": 1.5}, "INVALID_ARGUMENT", "open.speed: 1.5"),
        ({"guidance": 9.0}, "INVALID_ARGUMENT", "open.guidance: 9; valid: 0 to 5"),
        ({"reference_audio": b"\0\0"}, "INVALID_ARGUMENT", "open.reference_audio"),
        ({"encoding": common_pb2.ENCODING_MULAW, "sample_rate": 16000}, "INVALID_ARGUMENT", "open.encoding"),
    ],
)
async def test_wrong_requests(worker: Worker, options: dict[str, object], code: str, words: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await worker.say("Yes.", **options)
    assert refused.value.code().name == code
    assert words in (refused.value.details() or "")


def test_settings_name_the_folder(folder: Path, tmp_path: Path) -> None:
    made = engine_builder(
        TtsSettings(engine="voxtral", model_folder=str(folder), cache_mib=1, positions=128, device="cpu")
    )()
    made.load()
    assert made.batch == (1 << 20) // Room(0, 128).of_one(NANO, 4)
    with pytest.raises(EngineError, match=r"params\.json"):
        engine_builder(TtsSettings(engine="voxtral", model_folder=str(tmp_path)))().load()
