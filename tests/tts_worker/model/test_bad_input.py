"""Bad input over real gRPC, to an engine without a model and to the flow-matching one.

Each mistake has its status and says what would be valid; a stream beside it notices nothing.
"""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import torch

from protos import common_pb2
from protos import text_to_speech_pb2 as pb
from services.errors import InvalidRequest, ServiceError
from tests.tts_worker.harness import Worker, opening, phrase, running
from tests.tts_worker.model.engines import TEXT, loaded, speak, utterance, write_model
from tests.tts_worker.model.test_service import engine, serving
from tts_worker.engine import Piece
from tts_worker.resume import Resume
from tts_worker.speaking import Speaking
from tts_worker.tuning import Tuning

RECORDING = np.random.default_rng(1).integers(-9000, 9000, 48_000, dtype="<i2").tobytes()
Requests = list[pb.SynthesizeRequest]


def opened(**options: Any) -> Requests:
    """A stream that goes wrong at once."""
    return [opening(**options)]


def spoken(text: str, **options: Any) -> Requests:
    """A stream that goes wrong with its phrase."""
    return [opening(**options), phrase(1, text)]


BAD: list[tuple[Requests, str, str]] = [
    ([], "INVALID_ARGUMENT", "open: must be the first message"),
    ([phrase(1, "x")], "INVALID_ARGUMENT", "open: must be the first message"),
    ([opening(), pb.SynthesizeRequest()], "INVALID_ARGUMENT", "message: empty; valid: open, phrase, flush, stop"),
    (opened(voice="emma"), "NOT_FOUND", "open.voice: no voice 'emma' here; valid: "),
    (opened(voice="x" * 500), "NOT_FOUND", "open.voice: no voice 'xxx"),
    (opened(language="tlh"), "INVALID_ARGUMENT", "open.language: 'tlh'; voice "),
    (opened(sample_rate=0), "INVALID_ARGUMENT", "open.sample_rate: 0; valid: 8000, 16000, 24000"),
    (opened(sample_rate=48000), "INVALID_ARGUMENT", "open.sample_rate: 48000; valid: 8000, 16000, 24000"),
    (opened(encoding=0), "INVALID_ARGUMENT", "open.encoding: not given or unknown; valid: PCM_S16LE, MULAW, ALAW"),
    (opened(encoding=99), "INVALID_ARGUMENT", "open.encoding: not given or unknown; valid: PCM_S16LE, MULAW, ALAW"),
    (
        opened(encoding=common_pb2.ENCODING_ALAW, sample_rate=16000),
        "INVALID_ARGUMENT",
        "open.encoding: ALAW goes with sample_rate 8000 only",
    ),
    *[
        (opened(guidance=wrong), "INVALID_ARGUMENT", f"open.guidance: {wrong:g}; valid: 0 to 5")
        for wrong in (-0.5, 5.5, math.nan, math.inf, -math.inf)
    ],
    (opened(speed=math.nan), "INVALID_ARGUMENT", "open.speed: nan; valid: 0.5 to 2"),
    (opened(reference_audio=RECORDING), "INVALID_ARGUMENT", "open.reference_audio: this model has no encoder"),
    (opened(resume=b"TS"), "INVALID_ARGUMENT", "open.resume: no resume blob of this service"),
    (opened(resume=Resume(False, 1, 1, 1, 0, 0, 0, 1, 2).pack()), "INVALID_ARGUMENT", "open.resume: made with another"),
    (spoken(""), "INVALID_ARGUMENT", "phrase.text: 0 code points; valid: 1 to 2000"),
    (spoken("x" * 2001), "INVALID_ARGUMENT", "phrase.text: 2001 code points; valid: 1 to 2000"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("bad"))


@pytest.fixture(params=["scripted", "voxtral"])
async def worker(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Worker]:
    async with running() if request.param == "scripted" else serving(engine(folder, slots=2)) as one:
        yield one


async def refusal(worker: Worker, requests: Requests) -> tuple[str, str]:
    """Status and text."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await worker.exchange(requests)
    return refused.value.code().name, refused.value.details() or ""


async def test_every_mistake_has_its_status_and_says_what_is_valid(worker: Worker) -> None:
    for requests, code, words in BAD:
        status, details = await refusal(worker, requests)
        assert (status, details[: len(words)]) == (code, words)
        assert len(details) < 400


async def test_neighbours_do_not_notice(worker: Worker) -> None:
    alone = (await worker.say(TEXT, seed=7)).sound()

    async def mistakes() -> None:
        for requests, _, _ in BAD:
            await refusal(worker, requests)

    heard, *_ = await asyncio.gather(worker.say(*[TEXT] * 3, seed=7), mistakes(), mistakes())
    assert heard.sound(1) == heard.sound(3)
    difference = np.frombuffer(heard.sound(1), "<i2").astype(int) - np.frombuffer(alone, "<i2").astype(int)
    assert np.abs(difference).max() <= 1


async def test_a_client_that_stops_reading_blocks_only_itself(worker: Worker) -> None:
    stuck = worker.stub.Synthesize()
    await stuck.write(opening(sample_rate=24000))
    for number in range(1, 40):
        await stuck.write(phrase(number, TEXT))
    await stuck.read()  # it is accepted, and nothing else is ever read
    for _ in range(3):
        assert (await worker.say(TEXT)).done is not None
    stuck.cancel()


async def test_a_phrase_that_has_no_room_is_refused_and_one_of_the_length_that_fits_is_spoken(folder: Path) -> None:
    async with serving(engine(folder)) as one:
        status, details = await refusal(one, spoken("word " * 200))
        assert status == "INVALID_ARGUMENT"
        assert details.startswith("phrase.text: 1000 characters")
        found = re.search(r"room for about (\d+)", details)
        assert found is not None
        heard = await one.say(("word " * 200)[: int(found[1]) * 9 // 10])
        assert heard.audio[-1].last_of_phrase
        assert 50 < int(found[1]) < 1000


async def test_a_phrase_that_takes_longer_than_expected_is_not_cut_silently(folder: Path) -> None:
    """It had room for what such a text usually takes, and not for three times as much, after which it would be said to
    run away."""
    async with serving(engine(folder, ends_after=1000)) as one:
        status, details = await refusal(one, spoken("word " * 25))
    assert status == "INVALID_ARGUMENT"
    assert re.fullmatch(
        r"phrase\.text: has not ended after \d+ frames, and there is room for no more; send it in parts", details
    )


def test_nor_is_it_where_steps_are_started_ahead(folder: Path) -> None:
    """Then a frame comes that there is no room for, and is passed over."""
    one = loaded(folder, ends_after=1000, tuning=Tuning((2, 4), reach=48, prompts=4, ahead=1))
    speech = one.begin(utterance("word " * 25))
    answer: Piece | ServiceError | None = None
    while not isinstance(answer, ServiceError):
        (answer,) = one.step([speech])
    assert isinstance(answer, InvalidRequest)
    assert speak(one, one.begin(utterance("Hi.")))[-1].last


async def test_numbers_that_are_not_finite_end_one_stream_with_an_error(folder: Path) -> None:
    made = engine(folder)
    step = made.step

    def poisoned(speeches: Sequence[Speaking]) -> Any:
        assert made._runner is not None
        for speech in speeches:
            if speech.utterance.text == "Broken." and speech.made >= 4:
                made._runner._streams.state[speech.slot] = torch.nan
        return step(speeches)

    made.step = poisoned  # type: ignore[assignment,method-assign]
    async with serving(made) as one:
        alone = (await one.say(TEXT, seed=7)).sound()
        heard, broken = await asyncio.gather(one.say(TEXT, seed=7), one.say("Broken."), return_exceptions=True)
        assert isinstance(broken, grpc.aio.AioRpcError)
        assert broken.code() is grpc.StatusCode.INTERNAL
        assert "the voice broke" in (broken.details() or "")
        assert not isinstance(heard, BaseException)
        difference = np.frombuffer(heard.sound(), "<i2").astype(int) - np.frombuffer(alone, "<i2").astype(int)
        assert np.abs(difference).max() <= 1
        assert (await one.say("Yes.")).done is not None
        assert len(made._free) == 3
