"""Attempts of a model through the engine, and the ids, probabilities and choices of all that it has said in them."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from llm_worker.backends import Dialogue, Step, Usage
from llm_worker.backends.engine import Engine, Plant
from llm_worker.engine.answer import Answer
from llm_worker.engine.blocks import Blocks
from llm_worker.engine.runner import Runner
from llm_worker.engine.sampling import sample
from llm_worker.engine.scheduler import Load
from llm_worker.forge.reward import Environment
from llm_worker.messages import Prompt, Sampling
from llm_worker.model.cache import LatentPool
from llm_worker.model.network import Decoder
from llm_worker.text.grammar import Words
from llm_worker.text.tokenizer import Tekken

_BLOCK = 16
_FOREVER = 1e9
"""Seconds: nobody waits on a telephone here, so nobody is refused for being slow."""


@dataclass
class Said:
    """One answer: the ids before it, and of each that was drawn its log-probability and what else could have come."""

    prompt: tuple[int, ...]
    ids: list[int] = field(default_factory=list)
    logs: list[float] = field(default_factory=list)
    allowed: list[Words] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rollout:
    """One attempt: what it was worth, what was said in it."""

    number: int
    """Of the exercise."""
    reward: float
    said: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One attempt to be made: what is drawn in it follows from all three."""

    number: int
    seed: str = ""
    held: bool = False


@dataclass(frozen=True, slots=True)
class Conditions:
    """How attempts are made. `longest`: tokens of a conversation; `answer`: of one answer."""

    temperature: float
    at_once: int
    longest: int
    answer: int
    threads: int = 1


async def attempts(
    model: Decoder,
    tokenizer: Tekken,
    environment: Environment,
    wanted: Sequence[Wanted],
    conditions: Conditions,
    progress: bool = False,
) -> list[Rollout]:
    """All of them, in order. The engine is a new one: what another has in its cache is of other weights."""
    record = _Record()
    engine = _engine(model, tokenizer, record, conditions)
    gate = asyncio.Semaphore(conditions.at_once)
    bar = tqdm(total=len(wanted), unit="attempt", leave=False, disable=not progress)

    async def one(each: Wanted) -> Rollout:
        recorded = _Recorded(engine, record, f"{each.number} {each.seed}")
        sampling = Sampling(temperature=conditions.temperature, max_tokens=conditions.answer)
        async with gate:
            verdict = await environment.attempt(each.number, each.held, recorded, sampling)
        bar.update()
        return Rollout(each.number, verdict.reward, tuple(said for said in recorded.said if said.ids))

    try:
        await engine.warm_up()
        return list(await asyncio.gather(*(one(each) for each in wanted)))
    finally:
        bar.close()
        await engine.close()


def _engine(model: Decoder, tokenizer: Tekken, record: "_Record", conditions: Conditions) -> Engine:
    blocks = Blocks(1 + conditions.at_once * -(-(conditions.longest + conditions.answer) // _BLOCK), _BLOCK)

    def build() -> Runner:
        torch.set_num_threads(conditions.threads)
        device = model.embedding.weight.device
        return Runner(model, LatentPool(model.config, blocks.count, blocks.size, torch.float32, device))

    load = Load(
        rows=conditions.at_once,
        most_tokens=4096,
        step_seconds=_FOREVER,
        quiet_seconds=_FOREVER,
        slowest_seconds=_FOREVER,
        patience_seconds=_FOREVER,
        answer_tokens=conditions.answer,
    )
    return Engine(Plant("", tokenizer, build, blocks, conditions.longest, Sampling(), load, record.draw))


class _Record:
    """Draws as temperature and grammar say, nothing else, so that what is learnt is what was drawn from."""

    def __init__(self) -> None:
        self.answers: dict[int, Said] = {}
        """By seed: each answer has its own."""

    def draw(self, logits: Tensor, answers: Sequence[Answer]) -> Tensor:
        """See `engine.desk.Drawing`."""
        everything = np.full(-(-logits.shape[1] // 32), -1, np.int32)
        masks = [answer.mask() for answer in answers]
        words = np.stack([everything if mask is None else mask for mask in masks])
        temperature = torch.tensor([answer.sampling.temperature or 0.0 for answer in answers])
        numbers = torch.tensor([[answer.seed, answer.drawn] for answer in answers])
        tokens = sample(
            logits, temperature.to(logits.device), *numbers.to(logits.device).unbind(1), mask=torch.from_numpy(words)
        )
        scale = torch.where(temperature > 0, temperature, 1.0)[:, None]
        logs = log_probabilities(logits / scale, words).gather(1, tokens[:, None])[:, 0]
        for answer, mask, token, log in zip(answers, masks, tokens.tolist(), logs.tolist(), strict=True):
            said = self.answers.get(answer.seed)
            if said is not None and mask is not None and answer.sampling.temperature:  # else nothing was tried
                said.ids.append(token)
                said.logs.append(log)
                said.allowed.append(mask.copy())
        return tokens


def log_probabilities(scaled: Tensor, words: Words) -> Tensor:
    """Logits [N, V], divided by the temperature, → log-probabilities among those that the bits [N, ⌈V/32⌉] allow."""
    bits = np.unpackbits(words.astype("<i4", copy=False).view(np.uint8), axis=-1, bitorder="little")
    allowed = torch.from_numpy(bits[:, : scaled.shape[1]]).bool().to(scaled.device)
    return scaled.masked_fill(~allowed, -torch.inf).log_softmax(-1)


class _Recorded:
    """A backend whose conversations are remembered, and that draws the same for the same seed."""

    def __init__(self, engine: Engine, record: _Record, seed: str) -> None:
        self.model, self.context_limit = engine.model, engine.context_limit
        self.warm_up, self.close, self.resolve = engine.warm_up, engine.close, engine.resolve
        self.said: list[Said] = []
        self._engine, self._record, self._seed = engine, record, seed

    def open(self) -> Dialogue:
        """See `Backend`."""
        return _Dialogue(self, self._engine.open())

    def begin(self, prompt: Prompt) -> Prompt:
        """The prompt with the seed under which its answer is remembered."""
        digest = hashlib.blake2b(f"{self._seed} {len(self.said)}".encode(), digest_size=8).digest()
        seed = int.from_bytes(digest, "little") >> 1
        self.said.append(Said(tuple(self._engine.format.render(prompt, answer=True).ids)))
        self._record.answers[seed] = self.said[-1]
        return replace(prompt, sampling=replace(prompt.sampling, seed=seed))


class _Dialogue:
    def __init__(self, recorded: _Recorded, inner: Dialogue) -> None:
        self._recorded, self._inner = recorded, inner
        self.follow, self.close = inner.follow, inner.close

    async def prefill(self, prompt: Prompt) -> Usage:
        """See `Dialogue`."""
        return await self._inner.prefill(prompt)

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Step, None]:
        """See `Dialogue`."""
        async with aclosing(self._inner.generate(self._recorded.begin(prompt))) as steps:
            async for step in steps:
                yield step


@dataclass
class Row:
    """Answers that follow each other, as one row of ids. `drawn` says which of them were; of those, in order, are
    `logs` and `allowed`."""

    ids: list[int] = field(default_factory=list)
    drawn: list[bool] = field(default_factory=list)
    logs: list[float] = field(default_factory=list)
    allowed: list[Words] = field(default_factory=list)


def sequences(said: Iterable[Said]) -> list[Row]:
    """As few as there can be. A prompt that does not begin with what was computed before, because the caller cut in for
    example, begins another: ids are taken as they were, and never encoded again."""
    made: list[Row] = []
    for each in said:
        known = made[-1].ids if made else []
        if not made or list(each.prompt[: len(known)]) != known:
            made.append(Row())
        last = made[-1]
        new = each.prompt[len(last.ids) :]
        last.ids += [*new, *each.ids]
        last.drawn += [False] * len(new) + [True] * len(each.ids)
        last.logs += each.logs
        last.allowed += each.allowed
    return made
