"""This engine, driven by token ids: scheduler, cache, steps and draws as calls have them, without gRPC and text."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import numpy as np
import torch

from llm_worker.backends import Call, Delta, Reason
from llm_worker.engine.answer import Answer, draw
from llm_worker.engine.blocks import Blocks
from llm_worker.engine.desk import Desk, Seat
from llm_worker.engine.graphs import Buckets
from llm_worker.engine.runner import Runner
from llm_worker.engine.scheduler import Load, Urgency
from llm_worker.messages import Sampling
from llm_worker.model.cache import LatentPool
from llm_worker.model.config import Config
from llm_worker.model.network import Decoder, build, randomise
from llm_worker.text.grammar import Words

TEMPERATURE = 0.7


@dataclass(frozen=True)
class Room:
    """How much the engine may hold, and at a time."""

    tokens: int = 65_536
    context: int = 4096
    """Longest conversation."""
    rows: int = 128
    block: int = 16
    most_tokens: int = 512


def random_model(config: Config, dtype: torch.dtype, device: str) -> Decoder:
    """Weights of no meaning."""
    model = build(config, dtype, device)
    with torch.inference_mode():
        randomise(model, seed=0)
    return model


@asynccontextmanager
async def engine(model: Decoder, room: Room, greedy: bool = False) -> AsyncIterator["Ours"]:
    """The engine, at work."""
    device, dtype = model.embedding.weight.device, model.embedding.weight.dtype
    blocks = Blocks(1 + -(-room.tokens // room.block), room.block)
    never = 1e9  # nothing is refused for being slow
    load = Load(rows=room.rows, most_tokens=room.most_tokens, slowest_seconds=never, patience_seconds=never)
    desk: Desk[Answer] = Desk(blocks, draw, load)

    def made() -> Runner:
        pool = LatentPool(model.config, blocks.count, blocks.size, dtype, device)
        buckets = Buckets.up_to(room.rows, room.context, room.tokens) if device.type == "cuda" else None
        runner = Runner(model, pool, buckets)
        runner.warm_up()
        return runner

    await desk.start(made)
    try:
        yield Ours(desk, model.config.vocab_size, 0.0 if greedy else TEMPERATURE)
    finally:
        await desk.close()


class Ours:
    """Measures by the clock of whoever waits for tokens."""

    def __init__(self, desk: Desk[Answer], vocabulary: int, temperature: float) -> None:
        self.desk, self.vocabulary, self._temperature = desk, vocabulary, temperature

    def caller(self) -> "OurCaller":
        """One more conversation."""
        return OurCaller(self.desk.seat(), self._reading)

    async def together(self, prompts: Sequence[Sequence[int]], tokens: int) -> float:
        """Seconds until all of these prompts have an answer of so many tokens."""
        callers = [self.caller() for _ in prompts]
        began = time.perf_counter()
        await asyncio.gather(*(each.answer(ids, tokens) for each, ids in zip(callers, prompts, strict=True)))
        took = time.perf_counter() - began
        for each in callers:
            each.close()
        return took

    async def decoding(self, prompts: Sequence[Sequence[int]], tokens: int) -> float:
        """Seconds of the same, the prompts being in the cache when the clock starts."""
        callers = [self.caller() for _ in prompts]
        for each, ids in zip(callers, prompts, strict=True):
            await each.said(ids)
        began = time.perf_counter()
        await asyncio.gather(*(each.answer(ids, tokens) for each, ids in zip(callers, prompts, strict=True)))
        took = time.perf_counter() - began
        for each in callers:
            each.close()
        return took

    def _reading(self) -> Answer:
        return Answer(_Ids(), _Anything(self.vocabulary), Sampling(temperature=self._temperature), seed=1)


class OurCaller:
    """See `script.Caller`."""

    def __init__(self, seat: Seat[Answer], reading: Callable[[], Answer]) -> None:
        self._seat = seat
        self._reading = reading

    async def said(self, ids: Sequence[int]) -> None:
        """See `script.Caller`."""
        await self._seat.prefill(ids, Urgency.SPEECH)

    async def answer(self, ids: Sequence[int], tokens: int) -> tuple[float, list[int]]:
        """See `script.Caller`."""
        began, first = time.perf_counter(), 0.0
        said: list[int] = []
        async with aclosing(self._seat.generate(ids, self._reading(), tokens)) as steps:
            async for step in steps:
                first = first or time.perf_counter() - began
                if isinstance(step, Delta):
                    said += step.token_ids
        return first, said

    def close(self) -> None:
        """Hang up."""
        self._seat.close()


class _Ids:
    """Every token is said as it is, and none ends the answer."""

    ended: Reason | None = None

    def read(self, token: int) -> list[Delta | Call]:
        return [Delta("", (token,))]

    def close(self) -> list[Delta | Call]:
        return []


class _Anything:
    """A grammar that allows every id; its mask costs what that of plain text costs."""

    def __init__(self, size: int) -> None:
        self._words: Words = np.full(-(-size // 32), -1, np.int32)

    def mask(self) -> Words:
        return self._words

    def advance(self, token: int) -> None:
        pass
