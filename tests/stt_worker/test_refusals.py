"""What the recogniser refuses, and what ends a stream: over real gRPC, the scripted engine behind it."""

from typing import Any

import grpc
import numpy as np
import pytest

from protos import common_pb2
from protos import speech_to_text_pb2 as pb
from services.errors import RETRY_AFTER
from stt_worker.engine import NOTHING, Decoding, Utterance
from tests.stt_worker.calling import FINAL, RATE, HeldEngine, silence, speech, worker
from tests.waiting import until

TALK = np.concatenate([silence(0.2), speech(1.3), silence(0.4)])

OPEN = {"sample_rate": RATE, "encoding": common_pb2.ENCODING_PCM_S16LE}
BAD_OPENINGS: list[tuple[dict[str, Any], str]] = [
    ({"sample_rate": 11_025}, "open.sample_rate: 11025 is not one of 8000"),
    ({"encoding": 0}, "open.encoding"),
    ({"encoding": common_pb2.ENCODING_MULAW, "sample_rate": 16_000}, "open.encoding: G.711"),
    ({"conversation_id": "x" * 65}, "open.conversation_id"),
    ({"hints": pb.Hints(phrases=["a"] * 101)}, "open.hints.phrases: 101"),
    ({"hints": pb.Hints(phrases=["a" * 65])}, "open.hints.phrases"),
]
BAD_MESSAGES: list[tuple[dict[str, Any], str]] = [
    ({"open": pb.Open(**OPEN)}, "message: open was sent before"),
    ({}, "message: is empty"),
    ({"audio": pb.Audio(data=b"123")}, "audio.data: 3 bytes"),
    ({"audio": pb.Audio(data=bytes(2 * 1601))}, "audio.data: 0.200 s"),
    ({"transcribe": pb.Transcribe(request_id=1, through_sample=1, kind=FINAL)}, "transcribe.through_sample: 1 is not"),
    ({"transcribe": pb.Transcribe(request_id=1)}, "transcribe.kind"),
    ({"hints": pb.Hints(phrases=["a"] * 101)}, "hints.phrases: 101"),
]


@pytest.mark.parametrize(("fields", "text"), BAD_OPENINGS)
async def test_a_bad_opening_is_refused_and_named(fields: dict[str, Any], text: str) -> None:
    async with worker() as served:
        phone = served.phone()
        await phone.send(open=pb.Open(**(OPEN | fields)))
        code, details = await phone.failure()
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith(text)


@pytest.mark.parametrize(("message", "text"), BAD_MESSAGES)
async def test_a_bad_message_is_refused_and_named(message: dict[str, Any], text: str) -> None:
    async with worker() as served:
        phone = await served.call()
        await phone.send(**message)
        code, details = await phone.failure()
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith(text)


async def test_the_first_message_must_open() -> None:
    async with worker() as served:
        phone = served.phone()
        await phone.send(audio=pb.Audio(data=b"12"))
        code, details = await phone.failure()
        assert (code, details) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "message: the first message of a stream must be open",
        )
        silent = served.phone()
        await silent.hang_up()
        assert (await silent.failure())[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_positions_that_go_back_and_ids_used_twice_are_refused() -> None:
    async with worker() as served:
        phone = await served.call()
        await phone.say(speech(0.1))
        phone.position -= 1
        await phone.say(speech(0.1))
        assert "audio.first_sample: 799 goes back" in (await phone.failure())[1]
        again = await served.call()
        await again.ask(7, FINAL)
        await again.ask(7, FINAL)
        assert "transcribe.request_id: 7" in (await again.failure())[1]


async def test_more_streams_than_places_are_refused_with_a_delay_and_a_place_is_freed() -> None:
    async with worker(max_streams=1) as served:
        phone = await served.call()
        full = served.phone()  # says nothing: what is written to a stream that is refused masks the reason
        code, details = await full.failure()
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "1 places" in details
        assert int((await full.trailers())[RETRY_AFTER]) > 0
        await phone.hang_up()
        assert await phone.read() is None
        assert (await served.call()) is not None


async def test_more_requests_than_may_wait_end_the_stream_that_asked() -> None:
    engine = HeldEngine()
    async with worker(engine, max_waiting=1) as served:
        phones = [await served.call() for _ in range(3)]
        for phone in phones:
            await phone.say(TALK)
        await phones[0].ask(1, FINAL)
        await engine.busy()
        await phones[1].ask(1, FINAL)
        await until(lambda: served.pool.waiting == 1)
        await phones[2].ask(1, FINAL)
        assert (await phones[2].failure())[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        engine.released.set()
        assert [(await phone.transcript()).text for phone in phones[:2]] == ["i would like"] * 2


class Fragile:
    """Breaks on speech longer than a second."""

    name = "fragile"

    def understands(self, language: str) -> bool:
        return language != "fr"

    def decode(self, utterance: Utterance, give_up: Any) -> Decoding:
        if len(utterance.samples) > 16_000:
            raise RuntimeError("tensor of the wrong shape")
        return NOTHING


async def test_a_broken_decode_ends_its_stream_and_no_other() -> None:
    async with worker(Fragile()) as served:
        phone, other = await served.call(), await served.call()
        await phone.say(speech(2))
        await phone.ask(1, FINAL)
        code, details = await phone.failure()
        assert code is grpc.StatusCode.INTERNAL
        assert "tensor" not in details  # that is for the log
        await other.say(speech(0.5))
        await other.ask(1, FINAL)
        assert (await other.transcript()).text == ""


async def test_a_language_that_the_model_does_not_know_is_refused() -> None:
    async with worker(Fragile()) as served:
        phone = served.phone()
        await phone.send(open=pb.Open(**OPEN, language="fr"))
        assert await phone.failure() == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "open.language: 'fr' is not known to fragile",
        )
