"""Many streams at one desk that come, read, stop reading and go as they please, and an engine that breaks now and then.

Whatever happens nobody waits for ever, and the engine is left with nothing.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import numpy as np
import pytest

from services.errors import Busy, InternalError, ServiceError
from tests.tts_worker.test_desk import FORMAT, desk, speech
from tts_worker.desk import Desk
from tts_worker.engine import FRAME, Mark, Piece, Utterance, Voice

STREAMS = 6


@dataclass(eq=False)
class Phrase:
    pieces: int
    given: int = 0


@dataclass
class Moody:
    """Holds it against its caller when a phrase is stepped or ended that is over."""

    random: Random
    batch: int
    breaks: bool
    live: set[Phrase] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    most: int = 0
    model: str = "moody"
    voices: tuple[Voice, ...] = (Voice("one", ("en",), ""),)
    clones: bool = False

    def load(self) -> None: ...

    def begin(self, utterance: Utterance) -> Phrase:
        self._perhaps_break(0.02)
        if len(self.live) == STREAMS:
            self.wrong.append("no slot for a stream that has a place")
        if self.random.random() < 0.05:
            raise Busy("not now")
        made = Phrase(self.random.randint(1, 5))
        self.live.add(made)
        return made

    def step(self, speeches: Sequence[Phrase]) -> list[Piece | ServiceError | None]:
        if over := set(speeches) - self.live:
            self.wrong.append(f"{len(over)} stepped that are over")
        self._perhaps_break(0.02)
        self.most = max(self.most, len(speeches))
        return [self._step(one) for one in speeches]

    def _step(self, one: Phrase) -> Piece | ServiceError | None:
        what = self.random.random()
        if what < 0.5:
            return None
        one.given += 1
        last = one.given == one.pieces
        if last or what > 0.97:
            self.live.discard(one)
        return Piece(np.zeros(FRAME, np.float32), (Mark(0, 0),), last) if what <= 0.97 else InternalError("broke")

    def end(self, one: Phrase) -> None:
        if one not in self.live:
            self.wrong.append("ended twice, or after its end")
        self.live.discard(one)

    def _perhaps_break(self, chance: float) -> None:
        if self.breaks and self.random.random() < chance:
            raise RuntimeError("out of everything")


async def caller(one: Desk, random: Random, pieces: list[int]) -> None:
    """A stream: some phrases, read at its own pace. Leaves when it is done, fails or is cancelled."""
    stream = object()
    one.line.enter(stream)
    try:
        for _ in range(random.randint(1, 4)):
            last = False
            while not last:
                piece, _ = await one.next_piece(stream, speech("text"), FORMAT)
                last = piece.last
                pieces.append(piece.frames)
                await asyncio.sleep(random.choice((0, 0, 0.001)))
    finally:
        one.leave(stream)
        one.leave(stream)  # twice is no error


@pytest.mark.parametrize("breaks", [False, True])
@pytest.mark.parametrize("batch", [1, 2, STREAMS])
async def test_nobody_waits_for_ever_and_nothing_is_lost(batch: int, breaks: bool) -> None:
    random = Random(f"{batch} {breaks}")
    engine, pieces, loop_errors = Moody(Random(7), batch, breaks), [0], list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, what: loop_errors.append(what))
    async with desk(engine) as one, asyncio.timeout(20):  # type: ignore[arg-type]
        calls: set[asyncio.Task[None]] = set()
        for _ in range(150):
            while len(calls) >= STREAMS:
                done, calls = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
                for call in done:
                    with suppress(ServiceError, RuntimeError, asyncio.CancelledError):
                        call.result()
            calls.add(asyncio.create_task(caller(one, random, pieces)))
            if random.random() < 0.3:
                await asyncio.sleep(random.choice((0, 0.001, 0.002)))
                random.choice(sorted(calls, key=id)).cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        while one._news.is_set():  # noqa: ASYNC110 - nobody else is told
            await asyncio.sleep(0.001)
        assert not engine.live
        assert not {**one._ahead, **one._active, **one._speeches, **one._tickets}
        assert not one._dropped
        assert len(one.line) == 0
    assert not engine.wrong
    assert 1 <= engine.most <= batch
    assert sum(pieces) > 100
    assert not loop_errors
