"""Conversations as token ids to learn from. Those that begin alike share their beginning, which is most of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
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
    others: Tensor
    """[N] int64: the next token of the conversation where the caller or a tool says it, else -100."""
    calls: Tensor
    """[N] bool: those of `targets` that belong to tool calls."""
    ends: tuple[int, ...]
    """Where the beginning ends, then each rest."""

    def to(self, device: str) -> "Group":
        """The same on another device."""
        ids, targets, others = (each.to(device) for each in (self.ids, self.targets, self.others))
        return Group(ids, targets, others, self.calls.to(device), self.ends)

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


class By(IntEnum):
    """What a token is to training."""

    NOBODY = 0
    """Not learnt: prompts, greetings, what was cut short."""
    FRONT_DESK = 1
    OTHERS = 2
    """Callers and tools."""
    CALLS = 3
    """The front desk, to a tool."""


_DESK, _OTHERS = (By.FRONT_DESK, By.CALLS), (By.OTHERS,)

Learnable = tuple[list[int], Sequence[int]]
"""Ids, and by whom each is said, as `By`."""


def learnable(made: Conversation, form: ChatFormat) -> Learnable:
    """Ids, and of each whether the front desk says it and should: not its greeting, which the agent speaks by itself,
    and no answer that was cut short. What follows the greeting and is no answer others have said."""
    rendered, call = form.render(made.prompt()), form.call_id
    begin = rendered.answers[0].start if rendered.answers else len(rendered.ids)
    learn = [int(By.NOBODY)] * begin + [int(By.OTHERS)] * (len(rendered.ids) - begin)
    spoken = False
    answers = iter(rendered.answers)
    for is_answer, block in groupby(paired(made.messages), lambda message: message.role is Role.ASSISTANT):
        messages: Sequence[Message] = list(block)
        spoken = spoken or any(message.role is Role.USER for message in messages)
        if not is_answer:
            continue
        where = next(answers)
        cut = made.cut_short & {message.id for message in messages}
        if not spoken or cut:
            learn[where.start : where.stop] = [By.NOBODY] * len(where)
            continue
        said = rendered.ids[where.start : where.stop]
        words = said.index(call) if call in said else len(said)
        learn[where.start : where.stop] = [By.FRONT_DESK] * words + [By.CALLS] * (len(said) - words)
    return rendered.ids, learn


def together(rendered: Sequence[Learnable]) -> Group:
    """Conversations that begin alike as one group."""
    shared = _common([ids for ids, _ in rendered])
    learnt_at = (next((n for n, by in enumerate(learn) if by in _DESK), shared + 1) for _, learn in rendered)
    first_learnt = min(learnt_at, default=shared + 1)
    # The token before the first that is learnt belongs to the rests: its state makes the prediction.
    shared = min(shared, first_learnt - 1)
    shared = max(1, shared // ROUND * ROUND)
    ids, ends = [*rendered[0][0][:shared]], [shared]
    said_by = [int(By.NOBODY)] * shared
    for whole, learn in rendered:
        padding = -(len(whole) - shared) % ROUND
        ids += whole[shared:] + [whole[-1]] * padding
        said_by += [*learn[shared + 1 :], *([By.NOBODY] * (1 + padding))]
        ends.append(len(ids))
    tokens, by = torch.tensor(ids), torch.tensor(said_by)
    following = tokens.roll(-1)
    learnt, others = (torch.where(torch.isin(by, torch.tensor(who)), following, IGNORED) for who in (_DESK, _OTHERS))
    return Group(tokens, learnt, others, by == By.CALLS, tuple(ends))


def _common(sequences: Sequence[Sequence[int]]) -> int:
    """Length of the common beginning; one token less than the shortest has at most."""
    same: Callable[[tuple[int, ...]], bool] = lambda column: len(set(column)) == 1  # noqa: E731
    alike = sum(1 for _ in takewhile(same, zip(*sequences, strict=False)))
    return min(alike, min(map(len, sequences)) - 1)
