"""The contract over real gRPC, with the scripted engine behind it."""

import asyncio
from itertools import pairwise
from typing import Any

import grpc
import numpy as np
import pytest
from prometheus_client import REGISTRY

from protos import common_pb2
from protos import speech_to_text_pb2 as pb
from tests.stt_worker.calling import FINAL, RATE, SPECULATIVE, HeldEngine, silence, speech, worker
from tests.waiting import LONG, until

TALK = np.concatenate([silence(0.2), speech(1.3), silence(0.4)])


def decodes(kind: str) -> float:
    return REGISTRY.get_sample_value("trunkline_stt_decodes_total", {"kind": kind}) or 0.0


def reused() -> float:
    return REGISTRY.get_sample_value("trunkline_stt_reused_total") or 0.0


async def test_a_call_of_two_turns() -> None:
    finals = REGISTRY.get_sample_value("trunkline_stt_final_seconds_count") or 0
    async with worker() as served:
        phone = served.phone()
        opened = await phone.open(conversation_id="c1", language="en-GB")
        assert opened.model == "scripted"
        assert opened.worker_id
        await phone.say(TALK)
        await phone.ask(1, FINAL)
        first = await phone.transcript()
        assert (first.request_id, first.kind, first.text) == (1, FINAL, "i would like")
        assert first.through_sample == phone.position
        assert [word.text for word in first.words] == ["i", "would", "like"]
        assert first.words[0].first_sample == pytest.approx(0.2 * RATE, abs=400)
        assert first.words[-1].end_sample <= first.through_sample
        assert not first.superseded
        await phone.say(np.concatenate([speech(0.8), silence(0.3)]))
        await phone.ask(2, FINAL)
        second = await phone.transcript()
        assert second.text == "i would"
        assert second.words[0].first_sample >= first.through_sample
        await phone.hang_up()
        assert await phone.read() is None
    assert REGISTRY.get_sample_value("trunkline_stt_final_seconds_count") == finals + 2
    assert REGISTRY.get_sample_value("trunkline_stt_streams") == 0


async def test_silence_is_answered_empty_without_a_decode() -> None:
    before = decodes("final")
    async with worker() as served:
        phone = await served.call()
        await phone.say(silence(2))
        await phone.ask(1, FINAL)
        answer = await phone.transcript()
    assert answer.text == ""
    assert not answer.words
    assert answer.no_speech_probability == 1
    assert decodes("final") == before


async def test_a_final_after_a_guess_and_only_silence_is_answered_without_a_decode() -> None:
    async with worker() as served:
        phone = await served.call()
        await phone.say(TALK)
        await phone.ask(1, SPECULATIVE)
        guess = await phone.transcript()
        before = decodes("final")
        await phone.say(silence(0.5))
        await phone.ask(2, FINAL)
        final = await phone.transcript()
        assert (guess.kind, final.kind) == (SPECULATIVE, FINAL)
        assert final.text == guess.text == "i would like"
        assert list(final.words) == list(guess.words)
        assert (final.queue_seconds, final.decode_seconds) == (0, 0)
        assert decodes("final") == before


async def test_a_final_after_a_guess_and_more_speech_covers_everything() -> None:
    async with worker() as served:
        phone = await served.call()
        await phone.say(TALK)
        await phone.ask(1, SPECULATIVE)
        assert (await phone.transcript()).text == "i would like"
        await phone.say(TALK)
        await phone.ask(2, FINAL)
        assert (await phone.transcript()).text == "i would like to book an"


async def test_a_final_waits_for_a_guess_under_way_that_hears_the_same() -> None:
    before, known, engine = decodes("final"), reused(), HeldEngine()
    async with worker(engine) as served:
        phone = await served.call()
        await phone.say(TALK)
        await phone.ask(1, SPECULATIVE)
        await engine.busy()
        await asyncio.sleep(0.1)  # a while that the final need not wait again
        await phone.say(silence(0.1))
        await phone.ask(2, FINAL)
        await until(lambda: reused() == known + 1)
        engine.released.set()
        answers = [await phone.transcript(), await phone.transcript()]
    assert [(a.request_id, a.text, a.superseded) for a in answers] == [
        (1, "i would like", False),
        (2, "i would like", False),
    ]
    assert 0 < answers[1].decode_seconds < answers[0].decode_seconds
    assert decodes("final") == before


async def test_a_guess_that_has_not_begun_is_superseded_by_a_later_request() -> None:
    engine = HeldEngine()
    async with worker(engine) as served:
        other, phone = await served.call(), await served.call()
        await other.say(TALK)
        await other.ask(1, FINAL)
        await phone.say(TALK)
        await engine.busy()  # the only decoder, with the other call
        await phone.ask(1, SPECULATIVE)
        await phone.ask(2, SPECULATIVE)
        await phone.ask(3, FINAL)
        answers = [await phone.transcript() for _ in range(2)]
        engine.released.set()
        answers.append(await phone.transcript())
        assert [(a.request_id, a.superseded, a.text) for a in answers] == [
            (1, True, ""),
            (2, True, ""),
            (3, False, "i would like"),
        ]
        assert answers[2].queue_seconds > 0
        assert (await other.transcript()).text == "i would like"


async def test_partials_come_unasked_and_their_stable_part_only_grows() -> None:
    async with worker() as served:
        phone = await served.call(partials=True)
        shown: list[pb.Partial] = []
        for _ in range(8):
            await phone.say(speech(0.4))
            response = await phone.read()
            assert response is not None
            shown.append(response.partial)
        assert shown[-1].stable
        assert all(b.stable.startswith(a.stable) for a, b in pairwise(shown))
        said = ["i", "would", "like", "to", "book", "an", "appointment", "for", "next", "tuesday"]
        whole = f"{shown[-1].stable} {shown[-1].rest}".split()
        assert whole == said[: int(shown[-1].through_sample / RATE / 0.4 + 0.01)]
        assert 2 * RATE < shown[-1].through_sample <= phone.position


async def test_no_partials_unless_wanted() -> None:
    before = decodes("partial")
    async with worker() as served:
        phone = await served.call()
        await phone.say(speech(2))
        await phone.ask(1, FINAL)
        response = await phone.read()
        assert response is not None
        assert response.WhichOneof("message") == "transcript"
    assert decodes("partial") == before


async def test_partials_thin_out_under_load_and_finals_do_not_wait_for_them() -> None:
    engine = HeldEngine()
    async with worker(engine) as served:
        talker, asker = await served.call(partials=True), await served.call()
        before = decodes("partial")
        await asker.say(TALK)
        await asker.ask(1, FINAL)
        await engine.busy()
        await talker.say(speech(6))  # would be 20 partials
        await talker.ask(1, FINAL)
        await until(lambda: served.pool.waiting)
        engine.released.set()
        await talker.transcript()
        await asker.transcript()
        assert decodes("partial") - before <= 2


@pytest.mark.parametrize(
    ("encoding", "rate"),
    [
        (common_pb2.ENCODING_PCM_S16LE, 16_000),
        (common_pb2.ENCODING_PCM_S16LE, 24_000),
        (common_pb2.ENCODING_PCM_S16LE, 48_000),
        (common_pb2.ENCODING_MULAW, 8000),
        (common_pb2.ENCODING_ALAW, 8000),
    ],
)
async def test_every_rate_and_encoding(encoding: Any, rate: int) -> None:
    async with worker() as served:
        phone = await served.call(sample_rate=rate, encoding=encoding)
        if encoding == common_pb2.ENCODING_PCM_S16LE:
            await phone.say(np.concatenate([speech(0.85, rate), silence(0.35, rate)]), chunk=rate // 10)
        else:
            # The codes for loud samples of both signs, and 0xD5 or 0xFF for silence.
            quiet = b"\xff" if encoding == common_pb2.ENCODING_MULAW else b"\xd5"
            for _ in range(9):
                await phone.send(
                    audio=pb.Audio(first_sample=phone.position, data=b"\x20\x20\x20\x20\xa0\xa0\xa0\xa0" * 100)
                )
                phone.position += 800
            await phone.send(audio=pb.Audio(first_sample=phone.position, data=quiet * 800))
            phone.position += 800
        await phone.ask(1, FINAL)
        assert (await phone.transcript()).text == "i would"


async def test_a_gap_in_the_positions_is_silence() -> None:
    async with worker() as served:
        phone = await served.call()
        await phone.say(speech(0.85))
        phone.position += RATE  # the voice activity detector heard nothing
        await phone.say(speech(0.85))
        await phone.ask(1, FINAL)
        answer = await phone.transcript()
        assert answer.text == "i would like to"
        assert answer.words[2].end_sample > int(1.85 * RATE)


async def test_a_client_that_does_not_read_blocks_only_itself() -> None:
    async with worker() as served:
        stuck, phone = await served.call(), await served.call()

        async def flood() -> None:
            for request_id in range(5000):
                await stuck.say(speech(0.1))
                await stuck.ask(request_id, FINAL)

        flooding = asyncio.create_task(flood())
        await asyncio.sleep(0.5)
        await phone.say(TALK)
        await phone.ask(1, FINAL)
        assert (await asyncio.wait_for(phone.transcript(), LONG)).text == "i would like"
        assert not flooding.done()
        flooding.cancel()


async def test_half_closing_answers_what_is_under_way() -> None:
    async with worker(scripted_delay=0.3) as served:
        phone = await served.call()
        await phone.say(TALK)
        await phone.ask(1, FINAL)
        await phone.hang_up()
        assert (await phone.transcript()).text == "i would like"
        assert await phone.read() is None


async def test_draining_is_told_with_its_deadline_and_then_ends_the_stream() -> None:
    async with worker() as served:
        phone = await served.call()
        served.drain.begin(4.0)
        response = await phone.read()
        assert response is not None
        assert 1 < response.draining.deadline_seconds <= 4
        await phone.say(TALK)
        await phone.ask(1, FINAL)
        assert (await phone.transcript()).text == "i would like"
        assert (await phone.failure())[0] is grpc.StatusCode.UNAVAILABLE


async def test_hints_may_change_in_a_call() -> None:
    async with worker() as served:
        phone = await served.call(hints=pb.Hints(phrases=["Oduya"]))
        await phone.say(TALK)
        await phone.ask(1, SPECULATIVE)
        await phone.transcript()
        before = decodes("final")
        await phone.send(hints=pb.Hints(phrases=["Hathaway"]))
        await phone.ask(2, FINAL)
        assert (await phone.transcript()).text == "i would like"
        assert decodes("final") == before + 1


async def test_a_call_that_vanishes_leaves_no_place_taken_and_no_decode_waiting() -> None:
    before, engine = decodes("final"), HeldEngine()
    async with worker(engine, max_streams=2) as served:
        busy, gone = await served.call(), await served.call()
        for phone in (busy, gone):
            await phone.say(TALK)
        await busy.ask(1, FINAL)
        await engine.busy()
        await gone.ask(1, FINAL)
        await until(lambda: served.pool.waiting == 1)
        gone.cancel()
        await until(lambda: served.pool.waiting == 0)
        engine.released.set()
        assert (await busy.transcript()).text == "i would like"
        again = await served.call()
        await again.say(TALK)
        await again.ask(1, FINAL)
        assert (await again.transcript()).text == "i would like"
    assert decodes("final") == before + 2
