"""Which voices a worker offers, and how each sounds, over real gRPC."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from protos import text_to_speech_pb2 as pb
from services.errors import Busy, InvalidRequest, Unavailable
from tests.tts_worker.harness import Worker, running
from tts_worker.engine import Utterance, Voice
from tts_worker.scripted import ScriptedEngine


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    async with running(places=2) as one:
        yield one


async def test_voices_are_listed_with_a_sample(worker: Worker) -> None:
    (voice,) = (await worker.stub.ListVoices(pb.ListVoicesRequest())).voices
    assert (voice.name, list(voice.languages), voice.sample_rate) == ("heart", ["en-US"], 16000)
    assert 1 < len(voice.sample) / 2 / 16000 <= 4
    assert len((await worker.stub.ListVoices(pb.ListVoicesRequest(language="en"))).voices) == 1
    assert len((await worker.stub.ListVoices(pb.ListVoicesRequest(language="de"))).voices) == 0


class Choir(ScriptedEngine):
    """As many voices as the published model, in its nine languages; places as an engine with slots has them."""

    batch = 6

    def __init__(self) -> None:
        super().__init__()
        self.held = self.most = 0
        self.texts: dict[str, set[str]] = {}

    @property
    def voices(self) -> tuple[Voice, ...]:
        languages = ("en", "fr", "de", "es", "nl", "pt", "it", "hi", "ar")
        return tuple(Voice(f"{languages[i % 9]}_{i}", (languages[i % 9],), "") for i in range(20))

    def begin(self, utterance: Utterance) -> Any:
        self.held += 1
        self.most = max(self.most, self.held)
        if self.held > self.batch:
            raise Busy("no slot")
        self.texts.setdefault(utterance.language, set()).add(utterance.text)
        return super().begin(utterance)

    def step(self, speeches: Any) -> Any:
        pieces = super().step(speeches)
        self.held -= sum(piece.last for piece in pieces)
        return pieces

    def end(self, speech: Any) -> None:
        self.held -= 1


async def test_twenty_voices_of_nine_languages_are_listed_and_their_samples_made_together() -> None:
    """As many at a time as there are slots, each in its own language; the list fits into a message of usual size."""
    choir = Choir()
    async with running(lambda: choir) as worker:
        assert choir.most == 6
        assert choir.held == 0
        assert len(choir.texts) == 9
        assert len(set().union(*choir.texts.values())) == 9
        answer = await worker.stub.ListVoices(pb.ListVoicesRequest())
        assert [voice.name for voice in answer.voices] == [voice.name for voice in choir.voices]
        assert all(1 < len(voice.sample) / 2 / voice.sample_rate <= 4 for voice in answer.voices)
        german = await worker.stub.ListVoices(pb.ListVoicesRequest(language="de"))
        assert {voice.languages[0] for voice in german.voices} == {"de"}
        assert len(german.voices) == 2


async def test_a_sample_of_a_voice_that_finds_no_end_is_cut() -> None:
    class Endless(ScriptedEngine):
        """Never says that a phrase is over."""

        def step(self, speeches: Any) -> Any:
            pieces = super().step(speeches)
            for speech in speeches:
                speech.next = 0
            return [replace(piece, last=False) for piece in pieces]

    async with running(Endless) as worker:
        (voice,) = (await worker.stub.ListVoices(pb.ListVoicesRequest())).voices
        assert len(voice.sample) == 4 * 2 * voice.sample_rate


async def test_a_voice_that_cannot_speak_prevents_the_start_with_its_name() -> None:
    class Mute(ScriptedEngine):
        """Refuses every text."""

        def begin(self, utterance: Utterance) -> Any:
            raise InvalidRequest("phrase.text", "too long")

    with pytest.raises(Unavailable, match=r"voice heart cannot speak: phrase\.text: too long"):
        async with running(Mute):
            raise AssertionError("it runs")
