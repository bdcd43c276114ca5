"""PURE: what the next step computes. Answers under way come first, then prompts within a budget of tokens.

Policies, in one place:
- Every answer gets its next token in every step, up to `Load.rows` of them; beyond, they take turns.
- What is left of the step's time goes to prompts: those whose answer somebody waits for, then what callers are saying,
  then conversations that are being opened; each kind in the order of arrival. They come in chunks, so that none holds
  up the answers of others for longer than `Load.step_seconds`, nor one that is asked for next for long.
- Blocks are taken from where they are needed least: blank ones, beginnings that nobody holds (`Blocks`), then the
  conversation that has been idle the longest gives all of its back. Its ids stay, and what of them is gone is computed
  again when it goes on.
- When those that work hold everything and none can go on, the one that came last gives its blocks back and begins
  again behind the others. Nobody loses an answer; `admit` sees to it that this is rare.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from llm_worker.engine.blocks import Blocks
from llm_worker.engine.conversation import Context, Copy
from llm_worker.engine.pace import StepTime
from services.errors import Busy


class Urgency(IntEnum):
    """Why tokens are to be computed; the lower the sooner."""

    ANSWER = 0
    """Somebody waits for what comes next."""
    SPEECH = 1
    """A caller says it just now."""
    OPENING = 2
    """A conversation begins, or begins again."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much is done at a time. Seconds are those of a step."""

    rows: int = 64
    """Answers in a step."""
    least_tokens: int = 128
    """Of prompts, in every step: a busy worker gets on with them, too."""
    most_tokens: int = 512
    step_seconds: float = 0.1
    """What prompts may stretch a step of answers to: speech goes on meanwhile."""
    quiet_seconds: float = 0.25
    """The same while no answer is under way: the next one waits for the end of the step."""
    slowest_seconds: float = 0.2
    """A step of answers alone that takes longer is slower than speech: no more of them are taken."""
    patience_seconds: float = 10.0
    """Work that would wait longer than this is refused."""
    answer_tokens: int = 64
    """Room that an answer is counted with when it is admitted; it may get longer."""


@dataclass(eq=False)
class Stream:
    """A conversation, as the scheduler sees it."""

    context: Context
    urgency: Urgency | None = None
    """Of the tokens that are not computed yet; None: nothing is wanted."""
    answering: bool = False
    """When its tokens are computed the next is drawn."""
    paused: bool = False
    """Its client has not read what is there."""

    @property
    def complete(self) -> bool:
        """All that was wanted has been computed, and nothing is to be drawn."""
        return not self.answering and not self.context.pending


@dataclass(frozen=True, slots=True)
class Row:
    """Tokens of one conversation that a step computes."""

    stream: Stream
    start: int
    """Position of the first."""
    ids: tuple[int, ...]
    table: tuple[int, ...]
    write: bool
    """False: the token is in the cache, and only what follows from it is wanted."""
    draw: bool
    """The next token is to be drawn."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One step. Copies come first."""

    copies: list[Copy]
    answers: list[Row]
    prompts: list[Row]

    @property
    def rows(self) -> list[Row]:
        """Answers, then prompts."""
        return self.answers + self.prompts

    @property
    def prompt_tokens(self) -> int:
        """Of all prompts together."""
        return sum(len(row.ids) for row in self.prompts)


@dataclass(eq=False)
class Scheduler:
    """Streams that work and streams that are idle. `plan` and `done` alternate; the rest may be called in between."""

    blocks: Blocks
    load: Load = field(default_factory=Load)
    step_time: StepTime = field(default_factory=StepTime)
    _working: OrderedDict[Stream, None] = field(default_factory=OrderedDict)
    _idle: OrderedDict[Stream, None] = field(default_factory=OrderedDict)

    def wants(self, stream: Stream, urgency: Urgency, answering: bool = False) -> None:
        """Tokens of the stream are to be computed, and then an answer drawn. Raises Busy; then nothing has changed."""
        stream.context.adopt()
        self._admit(stream, urgency, answering)
        stream.urgency, stream.answering, stream.paused = urgency, answering, False
        self._idle.pop(stream, None)
        self._working[stream] = None

    def rest(self, stream: Stream) -> None:
        """Nothing is wanted of the stream any more; it is the last that has to give its blocks back."""
        stream.urgency, stream.answering = None, False
        self._working.pop(stream, None)
        self._idle.pop(stream, None)
        self._idle[stream] = None

    def leave(self, stream: Stream) -> None:
        """The conversation has ended; its blocks are there for others from the next step on."""
        self._working.pop(stream, None)
        self._idle.pop(stream, None)
        stream.urgency, stream.answering = None, False
        stream.context.release()

    def plan(self) -> Plan | None:
        """The next step; None when there is nothing to do."""
        ready = [stream for stream in self._working if not stream.paused]
        plan = Plan([], [], [])
        for stream in [s for s in ready if s.answering and s.context.pending <= 1][: self.load.rows]:
            self._place(plan, plan.answers, stream, 1)
            self._working.move_to_end(stream)  # where there are more than fit, they take turns
        self._place_prompts(plan, [s for s in ready if s.context.pending > (1 if s.answering else 0)])
        if not plan.rows and (stuck := [stream for stream in ready if not stream.complete]):
            self._begin_again(plan, min(stuck, key=_urgency))
        return plan if plan.rows else None

    def _place_prompts(self, plan: Plan, streams: list[Stream]) -> None:
        """As many tokens of prompts as the step has time for."""
        if not streams:
            return
        seconds = self.load.step_seconds if plan.answers else self.load.quiet_seconds
        within = self.step_time.tokens_within(len(plan.answers), seconds)
        budget = max(self.load.least_tokens, min(self.load.most_tokens, within))
        begun: set[object] = set()
        for stream in sorted(streams, key=_urgency):
            stream.context.adopt()
            ahead = stream.context.ahead()
            if budget > 0 and not stream.complete and ahead not in begun:  # else another computes it in this step
                budget -= self._place(plan, plan.prompts, stream, budget)
                begun.add(ahead or stream)

    def done(self, plan: Plan, seconds: float) -> None:
        """The step of `plan` is over."""
        for row in plan.rows:
            row.stream.context.finish()
        self.step_time.observe(len(plan.answers), plan.prompt_tokens, seconds)

    # -- room --------------------------------------------------------------------------------------------------------

    def _place(self, plan: Plan, rows: list[Row], stream: Stream, budget: int) -> int:
        """Add a row of at most `budget` tokens if there are blocks for it. Returns the number of its tokens."""
        context = stream.context
        tokens = min(context.pending, budget)
        if not self._make_room(stream, tokens):
            return 0
        plan.copies.extend(context.reserve(tokens))
        start = context.computed if tokens else len(context.ids) - 1
        end = start + max(tokens, 1)
        last = end == len(context.ids)
        table = tuple(context.table)
        rows.append(Row(stream, start, tuple(context.ids[start:end]), table, tokens > 0, last and stream.answering))
        context.begin(tokens)
        return end - start

    def _make_room(self, stream: Stream, tokens: int) -> bool:
        """Whether there are blocks for that many more tokens, after the idle have given theirs."""
        needed = stream.context.needed(tokens)
        while self.blocks.available < needed and self._idle:
            oldest, _ = self._idle.popitem(last=False)
            oldest.context.release()
        return self.blocks.available >= needed

    def _begin_again(self, plan: Plan, first: Stream) -> None:
        """Nobody can go on: those that came last give their blocks back until the first can."""
        order = sorted(self._working, key=_urgency)
        for loser in order[::-1]:
            if loser is not first:
                loser.context.release()
                self._working.move_to_end(loser)
            if self._place(plan, plan.prompts, first, self.load.least_tokens):
                return

    # -- admission ---------------------------------------------------------------------------------------------------

    def _admit(self, stream: Stream, urgency: Urgency, answering: bool) -> None:
        more = self.load.answer_tokens if answering else 0
        missing = min(stream.context.missing(more), self.blocks.capacity - len(stream.context.table))
        short = missing - self.blocks.available + self._promised(stream)
        if short > 0 and short > sum(self._given_back(stream)):  # in this order: the idle can be many
            raise Busy(f"no room in the cache: {missing} blocks are needed", retry_after=1.0)
        others = sum(other.answering for other in self._working if other is not stream)
        slowest = self.step_time.predicted(min(others + 1, self.load.rows), 0)
        if answering and others and slowest > self.load.slowest_seconds:  # one alone is the best that can be had
            raise Busy(f"{others + 1} answers at a time would be slower than speech", retry_after=1.0)
        ahead = sum(o.context.pending for o in self._working if o is not stream and _urgency(o) <= urgency)
        wait = self.step_time.predicted(0, ahead)
        if ahead and wait > self.load.patience_seconds:
            raise Busy(f"{ahead} tokens wait to be computed", retry_after=wait)

    def _promised(self, stream: Stream) -> int:
        """Blocks that others that work are counted with and do not hold yet."""
        return sum(
            other.context.missing(self.load.answer_tokens if other.answering else 0)
            for other in self._working
            if other is not stream
        )

    def _given_back(self, stream: Stream) -> Iterator[int]:
        """Blocks that each idle conversation holds alone."""
        for other in self._idle:
            if other is not stream:
                yield sum(self.blocks.holders(block) == 1 for block in other.context.table)


def _urgency(stream: Stream) -> int:
    return Urgency.OPENING if stream.urgency is None else stream.urgency
