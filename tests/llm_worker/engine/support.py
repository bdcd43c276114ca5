"""The smallest model with random weights, and a vocabulary of its own."""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from llm_worker.backends import Call, Delta, Reason
from llm_worker.engine.blocks import Blocks
from llm_worker.engine.graphs import Buckets
from llm_worker.engine.runner import Runner
from llm_worker.model.cache import LatentPool
from llm_worker.model.config import shipped_config
from llm_worker.model.network import Decoder, build, randomise
from llm_worker.text.bpe import train_bpe
from llm_worker.text.tokenizer import Tekken
from services.errors import ServiceError

SIZE = 4
TEXTS = ["Hello, how can I help you?", "I would like to book an appointment for Tuesday.", '{"day": "Tuesday"}'] * 3


@cache
def tokenizer() -> Tekken:
    return Tekken(train_bpe(TEXTS, 340))


@cache
def model() -> Decoder:
    """Float32. The vocabulary is that of `tokenizer`; weights are large enough that attention is not flat."""
    made = build(shipped_config("nano").model_copy(update={"vocab_size": tokenizer().size}), torch.float32, "cpu")
    with torch.inference_mode():
        randomise(made, seed=3, scale=2.0)
    return made


def runner(blocks: int = 256, buckets: Buckets | None = None) -> Runner:
    return Runner(model(), LatentPool(model().config, blocks, SIZE, torch.float32, "cpu"), buckets)


@torch.inference_mode()
def fresh(ids: Sequence[int]) -> Tensor:
    """Logits of what follows `ids`, computed without a cache."""
    return model().logits(model().whole(torch.tensor([list(ids)]))[0, -1:])[0]


class Greedy:
    """Reads an answer as its ids: each is a piece of text."""

    def __init__(self, end: int = -2) -> None:
        self.ended: Reason | None = None
        self.problem: ServiceError | None = None
        self.logits: list[Tensor] = []
        self._end = end

    def take(self, token: int) -> list[Delta | Call]:
        self.ended = Reason.END if token == self._end else None
        return [Delta("x", (token,))]

    def close(self) -> list[Delta | Call]:
        return []


def greedy(logits: Tensor, readings: Sequence[Greedy]) -> Tensor:
    """Draws the likeliest, and remembers what from."""
    for reading, row in zip(readings, logits, strict=True):
        reading.logits.append(row.clone())
    return logits.argmax(-1)


def some_blocks(count: int = 256) -> Blocks:
    return Blocks(count, SIZE)
