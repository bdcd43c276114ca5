"""One answer under way: what may come next, how it is drawn, what the drawn tokens say."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from llm_worker.backends import Call, Delta, Reason
from llm_worker.engine.sampling import WINDOW, sample
from llm_worker.messages import Sampling
from llm_worker.text.grammar import Words
from services.errors import ServiceError


class Rules(Protocol):
    """Which tokens may come (`text.grammar.Grammar`)."""

    def mask(self) -> Words:
        """A bit per id. Raises ServiceError where no more can be said."""
        ...

    def advance(self, token: int) -> None:
        """The token came."""
        ...


class Reads(Protocol):
    """What drawn tokens say (`text.reading.Reader`)."""

    ended: Reason | None
    """Why the answer is over, if it is."""

    def read(self, token: int) -> Sequence[Delta | Call]:
        """The next token."""
        ...

    def close(self) -> Sequence[Delta | Call]:
        """What was held back."""
        ...


class Answer:
    """Implements `desk.Reading` for a model that speaks a language."""

    def __init__(self, reader: Reads, rules: Rules, sampling: Sampling, seed: int) -> None:
        """`seed`: 64 bits; `sampling` says temperature and the rest, and what it does not say has no effect."""
        self.problem: ServiceError | None = None
        """Why the answer cannot go on, if it cannot."""
        self.sampling, self.seed = sampling, seed - (1 << 64) * (seed >= 1 << 63)
        self.drawn = 0
        self.recent = [-1] * WINDOW
        self._reader, self._rules = reader, rules

    @property
    def ended(self) -> Reason | None:
        """See `desk.Reading`."""
        return self._reader.ended

    def take(self, token: int) -> Sequence[Delta | Call]:
        """See `desk.Reading`."""
        self.drawn += 1
        self.recent = [*self.recent[1:], token]
        self._rules.advance(token)
        return self._reader.read(token)

    def close(self) -> Sequence[Delta | Call]:
        """See `desk.Reading`."""
        return self._reader.close()

    def mask(self) -> Words | None:
        """See `Rules`; None when there is a `problem`, and what is drawn then is of no account."""
        try:
            return self._rules.mask()
        except ServiceError as error:
            self.problem = error
            return None


def draw(logits: Tensor, answers: Sequence[Answer]) -> Tensor:
    """The next tokens [N] of N answers, from logits [N, V] in float32. See `sampling.sample`."""
    sampling = [answer.sampling for answer in answers]
    device = logits.device

    def column(values: Sequence[float | None], default: float) -> Tensor | None:
        if all(value is None or value == default for value in values):
            return None
        return torch.tensor([default if value is None else value for value in values]).to(device, non_blocking=True)

    numbers = torch.tensor([[answer.seed, answer.drawn, *answer.recent] for answer in answers])
    numbers = numbers.to(device, non_blocking=True)
    return sample(
        logits,
        column([each.temperature for each in sampling], 0.0),
        numbers[:, 0],
        numbers[:, 1],
        top_p=column([each.top_p for each in sampling], 1.0),
        min_p=column([each.min_p for each in sampling], 0.0),
        mask=torch.from_numpy(_masks(answers, logits.shape[1])).to(device, non_blocking=True),
        recent=numbers[:, 2:],
    )


def _masks(answers: Sequence[Answer], size: int) -> Words:
    masks = np.full((len(answers), -(-size // 32)), -1, np.int32)
    for row, answer in zip(masks, answers, strict=True):
        if (words := answer.mask()) is not None:
            row[:] = words
    return masks
