"""One engine thread in front of many streams: who is served, and how far ahead of its reader."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from prometheus_client import REGISTRY

from services.errors import InternalError, ServiceError
from tts_worker.desk import Desk, Format
from tts_worker.engine import FRAME, Mark, Piece, Utterance, Voice
from tts_worker.sound import Encoding

FORMAT = Format(8000, Encoding.PCM_S16LE)


@dataclass(eq=False)
class Phrase:
    text: str
    steps: int = 0


@dataclass
class Stepper:
    """An engine that carries all phrases on together: a piece of one frame takes two steps, a phrase has five."""

    batch: int = 4
    breaks_at: int = -1
    """Step of a phrase in which it breaks."""
    phrases: dict[str, Phrase] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    model: str = "stepper"
    voices: tuple[Voice, ...] = (Voice("one", ("en",), ""),)
    clones: bool = False

    def load(self) -> None: ...

    def begin(self, utterance: Utterance) -> Phrase:
        return self.phrases.setdefault(utterance.text, Phrase(utterance.text))

    def step(self, speeches: Sequence[Phrase]) -> list[Piece | ServiceError | None]:
        return [self._step(speech) for speech in speeches]

    def _step(self, speech: Phrase) -> Piece | ServiceError | None:
        speech.steps += 1
        if speech.steps == self.breaks_at:
            return InternalError("broken")
        if speech.steps % 2:
            return None
        marks = (Mark(0, 0), Mark(FRAME, len(speech.text)))
        return Piece(np.zeros(FRAME, np.float32), marks, last=speech.steps == 10)

    def end(self, speech: Phrase) -> None:
        self.ended.append(speech.text)


@asynccontextmanager
async def desk(engine: Stepper) -> AsyncIterator[Desk]:
    made = Desk("test", engine)
    worker = asyncio.create_task(made.work())
    try:
        yield made
    finally:
        worker.cancel()
        await made.thread.close()


def speech(text: str) -> Utterance:
    return Utterance(text, "one", seed=0)


async def idle(one: Desk) -> None:
    """Until there is nothing to do."""
    async with asyncio.timeout(10):
        while one._news.is_set():  # noqa: ASYNC110 - nobody else is told
            await asyncio.sleep(0.001)


async def test_a_piece_is_made_ahead_of_its_reader_and_no_more_than_one() -> None:
    engine = Stepper()
    async with desk(engine) as one:
        one.line.enter("a")
        for asked in range(1, 6):
            piece, _ = await one.next_piece("a", speech("text"), FORMAT)
            await idle(one)
            assert engine.phrases["text"].steps == min(10, 2 * asked + 2)
        assert piece.last
        assert not one._ahead


async def test_an_engine_that_speaks_one_phrase_at_a_time_makes_what_is_asked_for() -> None:
    engine = Stepper(batch=1)
    async with desk(engine) as one:
        one.line.enter("a")
        await one.next_piece("a", speech("text"), FORMAT)
        await idle(one)
        assert engine.phrases["text"].steps == 2


@pytest.mark.parametrize("breaks_at", [4, -1])
async def test_who_leaves_takes_what_was_made_ahead_along(breaks_at: int, caplog: pytest.LogCaptureFixture) -> None:
    engine = Stepper(breaks_at=breaks_at)
    async with desk(engine) as one:
        one.line.enter("a")
        await one.next_piece("a", speech("text"), FORMAT)
        await idle(one)
        one.leave("a")
        await idle(one)
        assert engine.ended == ([] if breaks_at == 4 else ["text"])
        assert not {**one._ahead, **one._active, **one._speeches}
    assert "never retrieved" not in caplog.text


async def test_what_broke_ahead_is_told_to_who_asks() -> None:
    async with desk(Stepper(breaks_at=4)) as one:
        one.line.enter("a")
        await one.next_piece("a", speech("text"), FORMAT)
        await idle(one)
        with pytest.raises(InternalError, match="broken"):
            await one.next_piece("a", speech("text"), FORMAT)


async def test_steps_with_a_prompt_and_steps_in_which_nothing_is_made_are_told_apart() -> None:
    seen: list[tuple[int, bool]] = []
    async with desk(Stepper()) as one:
        assert one.line.step_time is not None
        one.line.step_time.observe = lambda streams, _, prompts: seen.append((streams, prompts))  # type: ignore[method-assign,misc,assignment]
        before = REGISTRY.get_sample_value("trunkline_tts_step_seconds_count") or 0.0
        one.line.enter("a")
        await one.next_piece("a", speech("text"), FORMAT)
        await idle(one)
        assert seen == [(1, True)] * 2 + [(1, False)] * 2  # a piece takes two steps
        one.leave("a")
        await idle(one)
        assert len(seen) == 4
        assert REGISTRY.get_sample_value("trunkline_tts_step_seconds_count") == before + 4
