"""Mouths over real gRPC: the sound is the same, to the sample, whatever happens to the workers."""

import asyncio
from typing import Any

import numpy as np
import pytest

from agent.clients import TextToSpeech
from agent.clients.types import Voice
from services.errors import Busy, InternalError, NotFound, Unavailable
from tests.agent.clients.scripted import sound_of
from tests.waiting import LONG, until

PHRASES = {4: "Good morning.", 5: "How are you?", 9: "Well."}
SEED = 77


def speak(mouth: Any) -> None:
    for phrase_id, text in PHRASES.items():
        mouth.phrase(phrase_id, text)
    mouth.flush()


async def collect(mouth: Any) -> dict[int, np.ndarray]:
    """Sound by phrase; checks order, continuity and marks."""
    sounds: dict[int, list[np.ndarray]] = {}
    complete = True
    async with asyncio.timeout(LONG):
        async for audio in mouth.audio():
            parts = sounds.setdefault(audio.phrase_id, [])
            assert complete == (not parts), "a phrase begins after the one before is complete"
            assert audio.first_sample == sum(map(len, parts))
            parts.append(audio.samples)
            complete = audio.last_of_phrase
    return {phrase: np.concatenate(parts) for phrase, parts in sounds.items()}


def check(sounds: dict[int, np.ndarray]) -> None:
    assert list(sounds) == list(PHRASES)
    for phrase_id, text in PHRASES.items():
        np.testing.assert_array_equal(sounds[phrase_id], sound_of(phrase_id, SEED, text))


async def test_phrases_become_sound(worker: Any, workers: Any) -> None:
    one = await worker("tts")
    async with TextToSpeech(workers(one)).open("c", "one", "en", 8000, seed=SEED, speed=1.25) as mouth:
        speak(mouth)
        check(await collect(mouth))
    opening = one.servicer.streams[0][0].open
    assert (opening.voice, opening.language, opening.sample_rate, opening.speed) == ("one", "en", 8000, 1.25)


@pytest.mark.parametrize("blobs", [True, False], ids=["resumed", "begun again"])
@pytest.mark.parametrize("chunks", [0, 1, 5, 13, 20])
async def test_a_killed_worker_leaves_no_seam(worker: Any, workers: Any, chunks: int, blobs: bool) -> None:
    one, other = await worker("tts"), await worker("tts")
    one.servicer.blobs = other.servicer.blobs = blobs
    one.servicer.pace = 0.005
    async with TextToSpeech(workers(one, other)).open("c", seed=SEED) as mouth:
        speak(mouth)

        async def kill() -> None:
            await until(lambda: len(mouth._inbox._events) >= chunks and one.servicer.streams)
            await one.kill()

        await asyncio.gather(kill(), until(lambda: other.servicer.streams))
        check(await collect(mouth))


async def test_a_process_killed_and_started_again_on_its_port(process: Any, workers: Any) -> None:
    one = await asyncio.to_thread(process, "tts", 0, 0.02)
    two = await asyncio.to_thread(process, "tts")
    async with TextToSpeech(workers(one, two)).open("c", seed=SEED) as mouth:
        speak(mouth)
        sound = mouth.audio()
        first = await anext(sound)
        one.kill()
        rest = [audio async for audio in sound]
    whole = np.concatenate([audio.samples for audio in (first, *rest)])
    np.testing.assert_array_equal(
        whole, np.concatenate([sound_of(phrase, SEED, text) for phrase, text in PHRASES.items()])
    )


async def test_a_worker_of_another_version_begins_the_phrase_again(worker: Any, workers: Any) -> None:
    one, other = await worker("tts"), await worker("tts")
    one.servicer.pace = 0.005
    other.servicer.maker = 2
    async with TextToSpeech(workers(one, other)).open("c", seed=SEED) as mouth:
        speak(mouth)
        await until(lambda: len(mouth._inbox._events) >= 3)
        await one.kill()
        check(await collect(mouth))
    assert len(other.servicer.streams) == 2


async def test_phrases_after_the_loss_are_spoken_too(worker: Any, workers: Any) -> None:
    one, other = await worker("tts"), await worker("tts")
    async with TextToSpeech(workers(one, other)).open("c", seed=SEED) as mouth:
        mouth.phrase(4, PHRASES[4])
        await until(lambda: mouth._progress._current_complete)
        await one.kill()
        mouth.phrase(5, PHRASES[5])
        await until(lambda: other.servicer.streams)
        mouth.phrase(9, PHRASES[9])
        mouth.flush()
        check(await collect(mouth))


async def test_nothing_reachable_is_said_in_time(worker: Any, workers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.clients.tts.PATIENCE", 1.2)
    one = await worker("tts")
    await one.kill()
    async with TextToSpeech(workers(one)).open("c") as mouth:
        mouth.phrase(1, "Hello.")
        began = asyncio.get_running_loop().time()
        with pytest.raises(Unavailable, match=r"no voice within 1\.2 s"):
            await collect(mouth)
        assert asyncio.get_running_loop().time() - began >= 1.1


async def test_a_full_worker_hands_over_to_another(worker: Any, workers: Any) -> None:
    one, other = await worker("tts"), await worker("tts")
    one.servicer.faults.on_open = Busy("full", retry_after=600)
    async with TextToSpeech(workers(one, other)).open("c", seed=SEED) as mouth:
        speak(mouth)
        check(await collect(mouth))


async def test_busy_everywhere_until_the_time_it_said(worker: Any, workers: Any) -> None:
    one = await worker("tts")
    one.servicer.faults.on_open = Busy("full", retry_after=0.4)
    async with TextToSpeech(workers(one)).open("c", seed=SEED) as mouth:
        speak(mouth)
        await until(lambda: one.servicer.streams)
        one.servicer.faults.on_open = None
        check(await collect(mouth))
    assert len(one.servicer.streams) == 2


async def test_drain_lets_the_utterance_end(worker: Any, workers: Any) -> None:
    one, other = await worker("tts"), await worker("tts")
    one.servicer.pace = 0.005
    async with TextToSpeech(workers(one, other)).open("c", seed=SEED) as mouth:
        speak(mouth)
        await until(lambda: len(mouth._inbox._events) >= 2)
        one.servicer.faults.set(draining=True)
        check(await collect(mouth))
    assert not other.servicer.streams


async def test_stop_ends_after_the_phrase_under_way(worker: Any, workers: Any) -> None:
    one = await worker("tts")
    one.servicer.pace = 0.005
    async with TextToSpeech(workers(one)).open("c", seed=SEED) as mouth:
        speak(mouth)
        await until(lambda: len(mouth._inbox._events) >= 2)
        mouth.stop()
        sounds = await collect(mouth)
    assert list(sounds) == [4]
    np.testing.assert_array_equal(sounds[4], sound_of(4, SEED, PHRASES[4]))


async def test_leaving_silences(worker: Any, workers: Any) -> None:
    one = await worker("tts")
    one.servicer.pace = 0.01
    async with TextToSpeech(workers(one)).open("c", seed=SEED) as mouth:
        speak(mouth)
        await anext(mouth.audio())
    await until(lambda: one.servicer.ended == 1)


async def test_an_unknown_voice_is_named(worker: Any, workers: Any) -> None:
    one = await worker("tts")
    async with TextToSpeech(workers(one)).open("c", "nobody") as mouth:
        with pytest.raises(NotFound, match="voice nobody; there are: one"):
            await collect(mouth)


async def test_a_bug_ends_the_utterance(worker: Any, workers: Any) -> None:
    one = await worker("tts")
    one.servicer.faults.bug = True
    async with TextToSpeech(workers(one)).open("c") as mouth:
        with pytest.raises((InternalError, Unavailable)):
            await collect(mouth)


async def test_a_listener_who_stops_holds_the_worker_back(worker: Any, workers: Any) -> None:
    one = await worker("tts")
    async with TextToSpeech(workers(one)).open("c", seed=SEED) as mouth:
        mouth.phrase(1, "x" * 1000)
        mouth.flush()
        await until(lambda: len(mouth._inbox._events) == 256)
        await asyncio.sleep(0.05)
        assert len(mouth._inbox._events) == 256
        assert len((await collect(mouth))[1]) == 640_000


async def test_voices(worker: Any, workers: Any) -> None:
    one, other = await worker("tts"), await worker("tts")
    one.servicer.faults.on_open = Unavailable("warming up")
    assert await TextToSpeech(workers(one, other)).list_voices() == (Voice("one", ("en",), "counts"),)
    other.servicer.faults.on_open = Unavailable("warming up")
    with pytest.raises(Unavailable, match="warming up"):
        await TextToSpeech(workers(one, other)).list_voices()
