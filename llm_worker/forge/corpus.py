"""Conversations as token ids to learn from. Those that begin alike share their beginning, which is most of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile

import torch
from torch import Tensor

from llm_worker.forge.records import Conversation
from llm_worker.messages import Message, Role, paired
from llm_worker.text.chat import ChatFormat, tools_json

IGNORED = -100
"""Target of a token that is not learnt: cross entropy's own default."""

ROUND = 32
"""Beginnings and rests have multiples of so many tokens, rests by padding: a library that makes code for each size of a
product makes it for few of them."""


@dataclass(frozen=True, slots=True)
class Group:
    """Conversations with a common beginning of P tokens, of which nothing is learnt: [beginning, rest, rest, …], N
    tokens in all."""

    ids: Tensor
    """[N] int64."""
    targets: Tensor
    """[N] int64: the next token of the conversation where the front desk says it, else -100."""
    ends: tuple[int, ...]
    """Where the beginning ends, then each rest."""

    def to(self, device: str) -> "Group":
        """The same on another device."""
        return Group(self.ids.to(device), self.targets.to(device), self.ends)

    @property
    def computed(self) -> int:
        """Tokens that are computed."""
        return len(self.ids)

    @property
    def whole(self) -> int:
        """Tokens that the conversations have."""
        return len(self.ids) + self.ends[0] * (len(self.ends) - 2)

    @property
    def learnt(self) -> int:
        """Tokens that are learnt."""
        return int((self.targets != IGNORED).sum())


def groups(conversations: Iterable[Conversation], form: ChatFormat, most: int, longest: int) -> Iterator[Group]:
    """Neighbours that begin alike, at most so many together. Those of more than `longest` tokens are left out."""
    for _, neighbours in groupby(conversations, _beginning):
        rendered = [each for made in neighbours if len((each := learnable(made, form))[0]) <= longest]
        for first in range(0, len(rendered), most):
            yield together(rendered[first : first + most])


def _beginning(made: Conversation) -> tuple[str, str, str]:
    return made.messages[0].text if made.messages else "", made.now, tools_json(made.tools)


Learnable = tuple[list[int], list[bool]]
"""Ids, and which of them are learnt."""


def learnable(made: Conversation, form: ChatFormat) -> Learnable:
    """Ids, and of each whether the front desk says it and should: not its greeting, which the agent speaks by itself,
    and no answer that was cut short."""
    rendered = form.render(made.prompt())
    learn = [False] * len(rendered.ids)
    spoken = False
    answers = iter(rendered.answers)
    for is_answer, block in groupby(paired(made.messages), lambda message: message.role is Role.ASSISTANT):
        messages: Sequence[Message] = list(block)
        spoken = spoken or any(message.role is Role.USER for message in messages)
        if not is_answer:
            continue
        where = next(answers)
        if spoken and not made.cut_short & {message.id for message in messages}:
            learn[where.start : where.stop] = [True] * len(where)
    return rendered.ids, learn


def together(rendered: Sequence[Learnable]) -> Group:
    """Conversations that begin alike as one group."""
    shared = _common([ids for ids, _ in rendered])
    first_learnt = min((learn.index(True) for _, learn in rendered if any(learn)), default=shared + 1)
    # The token before the first that is learnt belongs to the rests: its state makes the prediction.
    shared = min(shared, first_learnt - 1)
    shared = max(1, shared // ROUND * ROUND)
    ids, targets, ends = [*rendered[0][0][:shared]], [IGNORED] * shared, [shared]
    for whole, learn in rendered:
        padding = -(len(whole) - shared) % ROUND
        ids += whole[shared:] + [whole[-1]] * padding
        targets += [
            token if said else IGNORED for token, said in zip(whole[shared + 1 :], learn[shared + 1 :], strict=True)
        ]
        targets += [IGNORED] * (1 + padding)
        ends.append(len(ids))
    return Group(torch.tensor(ids), torch.tensor(targets), tuple(ends))


def _common(sequences: Sequence[Sequence[int]]) -> int:
    """Length of the common beginning; one token less than the shortest has at most."""
    same: Callable[[tuple[int, ...]], bool] = lambda column: len(set(column)) == 1  # noqa: E731
    alike = sum(1 for _ in takewhile(same, zip(*sequences, strict=False)))
    return min(alike, min(map(len, sequences)) - 1)
