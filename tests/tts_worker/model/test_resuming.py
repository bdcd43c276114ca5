"""A phrase begun by one worker and ended by another, over real gRPC: the same codes and samples, spans that touch."""

import struct
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from protos import common_pb2
from protos import text_to_speech_pb2 as pb
from tests.tts_worker.harness import Heard, Worker
from tests.tts_worker.model import engines
from tests.tts_worker.model.engines import TEXT, write_model
from tests.tts_worker.model.test_service import engine, serving
from tts_worker.resume import unpack

NEXT = "And another one."
FIRST_FRAME, IN_A_PIECE, PIECE_BORDER, BEFORE_THE_END, PHRASE_END, NEXT_PHRASE = 0, 4, 5, 18, 19, 24
"""Messages after which the first worker is gone. Pieces of 20 frames end after 1, 3, 6, 12, 18, 20."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("resumed"))


@pytest.fixture
async def first(folder: Path) -> AsyncIterator[Worker]:
    async with serving(engine(folder)) as one:
        yield one


@pytest.fixture
async def second(folder: Path) -> AsyncIterator[Worker]:
    """It has another past: its estimate of the pace is its own."""
    async with serving(engine(folder)) as one:
        for text in ("Yes.", "No.", "Hm."):
            await one.say(text)
        yield one


def samples(audio: list[pb.Audio]) -> np.ndarray[Any, Any]:
    return np.frombuffer(b"".join(message.data for message in audio), "<i2").astype(int)


async def go_on(worker: Worker, whole: Heard, after: int, **options: Any) -> Heard:
    """The rest by another worker."""
    message = whole.audio[after]
    texts = (TEXT, NEXT)[message.phrase_id - 7 :]
    return await worker.say(*texts, first_id=message.phrase_id, resume=message.resume, **options)


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
async def test_samples_are_those_of_one_worker(first: Worker, second: Worker, rate: int) -> None:
    whole = await first.say(TEXT, NEXT, first_id=7, seed=1, sample_rate=rate)
    assert len(whole.audio) == 40
    for after in (FIRST_FRAME, IN_A_PIECE, PIECE_BORDER, BEFORE_THE_END, PHRASE_END, NEXT_PHRASE):
        rest = (await go_on(second, whole, after, sample_rate=rate)).audio
        wanted = whole.audio[after + 1 :]
        assert [(a.phrase_id, a.first_sample) for a in rest] == [(a.phrase_id, a.first_sample) for a in wanted]
        assert [unpack(a.resume).state for a in rest] == [unpack(a.resume).state for a in wanted]
        assert np.abs(samples(rest) - samples(wanted)).max() <= 1  # the last bit: sums in another order
        together = [*whole.audio[: after + 1], *rest]
        for number, text in ((7, TEXT), (8, NEXT)):
            spans = [(a.span_start, a.span_end) for a in together if a.phrase_id == number]
            assert [begin for begin, _ in spans] == [0, *(end for _, end in spans[:-1])]
            assert spans[-1][1] == len(text)


async def test_a_worker_can_go_on_for_one_that_went_on(first: Worker, second: Worker) -> None:
    whole = await first.say(TEXT, NEXT, first_id=7, seed=1)
    half = await go_on(second, whole, IN_A_PIECE)
    rest = await go_on(first, half, IN_A_PIECE)
    assert np.abs(samples(rest.audio) - samples(whole.audio[2 * (IN_A_PIECE + 1) :])).max() <= 1


async def test_telephone_codes_go_on_too(first: Worker, second: Worker) -> None:
    options = {"encoding": common_pb2.ENCODING_MULAW}
    whole = await first.say(TEXT, NEXT, first_id=7, seed=1, **options)
    rest = await go_on(second, whole, IN_A_PIECE, **options)
    wanted = whole.sound()[(IN_A_PIECE + 1) * 640 :]
    assert len(rest.sound()) == len(wanted)
    different = np.count_nonzero(np.frombuffer(rest.sound(), "u1") != np.frombuffer(wanted, "u1"))
    assert different <= len(wanted) // 1000  # where the last bit is on a step of the code


async def refusal(worker: Worker, text: str = TEXT, **options: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await worker.say(text, first_id=7, **options)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    return refused.value.details() or ""


async def test_what_does_not_fit_its_blob(first: Worker, second: Worker) -> None:
    heard = await first.say(TEXT, first_id=7, seed=1, voice="neutral_bert", guidance=1.5)
    same: dict[str, Any] = {"resume": heard.audio[4].resume, "voice": "neutral_bert", "guidance": 1.5}
    assert (await second.say(TEXT, first_id=7, **same)).done is not None
    other = "open.resume: made with another model, voice, language, recording, speed or guidance"
    assert await refusal(second, **same | {"voice": "fr_anna"}) == other
    assert await refusal(second, **same | {"guidance": 1.6}) == other
    assert await refusal(second, **same | {"language": "en-GB"}) == other
    assert (await refusal(second, **same, seed=2)).startswith("open.seed: differs")
    assert (await refusal(second, "Something else.", **same)).startswith("phrase.text: differs")
    damaged = bytearray(same["resume"])
    damaged[60] ^= 1
    assert (
        await refusal(second, **same | {"resume": bytes(damaged)}) == "open.resume: damaged: the checksum does not fit"
    )


def forged(blob: bytes, **changes: Any) -> bytes:
    """A blob whose checksum is right and whose content is not."""
    return replace(unpack(blob), **changes).pack()


async def test_forged_blobs_are_refused_and_hurt_nobody(first: Worker) -> None:
    """The checksum is no signature: what a blob holds is looked at before the model sees it."""
    heard = await first.say(TEXT, first_id=7, seed=1)
    blob = heard.audio[4].resume
    one = len(unpack(heard.audio[0].resume).state)
    state = unpack(blob).state
    for changes in (
        {"state": state[:-1]},
        {"state": state[:one] * 4000, "piece": 600},
        {"state": b"\xff" * len(state)},
        {"state": state[: one - 1] + b"\xff" + state[one:]},
        {"state": struct.pack(">H", 1) + bytes(one - 2) + state},
        {"piece": 2**32 - 1},
        {"piece": 40},
        {"state": b"", "piece": 3},
    ):
        wrong = forged(blob, **changes)
        details = await refusal(first, resume=wrong)
        assert details.startswith("open.resume: "), changes
        assert len(details) < 200
    assert (await first.say(TEXT, first_id=7, resume=blob)).done is not None


async def test_a_blob_of_four_thousand_frames(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five minutes of one phrase, more than any that would be begun: it is taken up, and ended as a runaway."""
    monkeypatch.setattr(engines, "POSITIONS", 4200)
    async with serving(engine(folder, slots=1, ends_after=5000)) as worker:
        start = await worker.say("Yes.", first_id=7, seed=1)
        frames, piece = 4002, 669  # 14 frames are five pieces, and every 6 after that are another one
        state = unpack(start.audio[0].resume).state * frames
        blob = forged(start.audio[0].resume, state=state, piece=piece, piece_frame=3998, frame=4000)
        rest = await worker.say("Yes.", first_id=7, resume=blob)
    assert [message.first_sample for message in rest.audio] == [4000 * 640, 4001 * 640]
    assert [message.last_of_phrase for message in rest.audio] == [False, True]
