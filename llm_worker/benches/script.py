"""A conversation of token ids as a voice agent has them, the same for every engine. PURE.

The caller's words come in pieces while they are said; half of the time the recogniser changes its mind about the last
of them; the caller talks over half of the answers, which are cut.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Caller(Protocol):
    """An engine with one conversation. Ids are the whole history each time."""

    async def said(self, ids: Sequence[int]) -> None:
        """The history goes on: compute it ahead."""
        ...

    async def answer(self, ids: Sequence[int], tokens: int) -> tuple[float, list[int]]:
        """Seconds to the first token of an answer to the history, and all tokens of it."""
        ...


@dataclass(frozen=True)
class Talk:
    """Sizes in tokens."""

    prompt: int = 600
    turns: int = 6
    pieces: int = 6
    """Of what the caller says in a turn."""
    piece: int = 5
    answer: int = 32
    seed: int = 1


async def hold(talk: Talk, caller: Caller, vocabulary: int) -> list[float]:
    """Have the conversation. Returns the seconds to each answer's first token."""
    draw = random.Random(talk.seed)
    history = words(draw, talk.prompt, vocabulary)
    firsts = []
    await caller.said(history)
    for turn in range(talk.turns):
        for _ in range(talk.pieces):
            history += words(draw, talk.piece, vocabulary)
            await caller.said(history)
            if draw.random() < 0.5:
                del history[-talk.piece // 2 :]
                history += words(draw, talk.piece, vocabulary)
                await caller.said(history)
        first, answer = await caller.answer([*history, *words(draw, 2, vocabulary)], talk.answer)
        firsts.append(first)
        history += answer[: talk.answer // 2] if turn % 2 else answer
    return firsts


def words(draw: random.Random, count: int, vocabulary: int) -> list[int]:
    """Random ids that are no control tokens."""
    return [draw.randrange(vocabulary // 2, vocabulary) for _ in range(count)]
