"""What an answer draws depends on itself alone, however others in the batch are drawn."""

import numpy as np
import pytest
import torch

from llm_worker.engine.answer import Answer, draw
from llm_worker.messages import Sampling
from llm_worker.text.reading import Reader
from services.errors import InvalidRequest
from tests.llm_worker.engine.support import tokenizer

SIZE = 340


class Only:
    """Allows some ids."""

    def __init__(self, *ids: int) -> None:
        self._ids = ids
        self.came: list[int] = []

    def mask(self):
        bits = np.zeros(-(-SIZE // 32) * 32, np.uint8)
        bits[list(self._ids) or slice(None)] = 1
        return np.packbits(bits, bitorder="little").view(np.int32)

    def advance(self, token: int) -> None:
        self.came.append(token)


class Exhausted(Only):
    def mask(self):
        raise InvalidRequest("open.tools", "too much work")


def answer(rules: Only | None = None, seed: int = 7, **sampling: float) -> Answer:
    return Answer(Reader(tokenizer()), rules or Only(), Sampling(**sampling), seed)  # type: ignore[arg-type]


MANY = [
    {},
    {"temperature": 0.0},
    {"temperature": 1.0},
    {"temperature": 1.0, "seed": 2**64 - 1},
    {"temperature": 2.0, "top_p": 0.5},
    {"temperature": 1.5, "min_p": 0.2},
]


def test_a_row_is_drawn_as_it_is_alone():
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(len(MANY), SIZE, generator=generator) * 3
    together = draw(logits, [answer(**given) for given in MANY])
    alone = [int(draw(logits[row : row + 1], [answer(**given)])[0]) for row, given in enumerate(MANY)]
    assert together.tolist() == alone
    assert together[:2].tolist() == logits[:2].argmax(-1).tolist()


def test_the_next_draw_of_an_answer_is_another():
    one = answer(temperature=2.0)
    logits = torch.zeros(1, SIZE)
    tokens = set()
    for _ in range(20):
        token = int(draw(logits, [one])[0])
        one.take(token)
        tokens.add(token)
    assert len(tokens) > 10
    assert one.drawn == 20
    assert one._rules.came[-1] == one.recent[-1]  # type: ignore[attr-defined]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_only_what_the_rules_allow_is_drawn_and_rules_that_fail_are_their_own_answers_problem(temperature):
    allowed, broken = answer(Only(77), temperature=temperature), answer(Exhausted(), temperature=temperature)
    tokens = draw(torch.zeros(2, SIZE), [allowed, broken])
    assert tokens[0] == 77
    assert allowed.problem is None
    assert isinstance(broken.problem, InvalidRequest)
