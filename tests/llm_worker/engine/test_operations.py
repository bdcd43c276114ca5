"""The invariant of the contract: after any sequence of operations the next token is distributed as after a fresh
prefill of the same tokens. Real sessions, a real model with random weights, neighbours, too few blocks for all."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_worker.backends.engine import Engine, Plant
from llm_worker.checks import Limits
from llm_worker.engine.runner import Draw, Runner
from llm_worker.engine.scheduler import Load, Plan, Scheduler
from llm_worker.exchange import Append, Commit, Generate, Operation, Retract, Stop, Truncate
from llm_worker.messages import Message, Role, Sampling, Tool, ToolChoice
from llm_worker.model.cache import LatentPool
from llm_worker.request import Opening
from llm_worker.session import Outbox, Session
from llm_worker.text.chat import ChatFormat
from services.errors import Busy
from tests.llm_worker.engine.support import SIZE, fresh, model, some_blocks, tokenizer

BLOCKS = 150
TOOLS = (Tool("book", "Books.", {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}),)


class Watched(Runner):
    """Compares every distribution that a token is drawn from with a fresh prefill."""

    def __init__(self) -> None:
        super().__init__(model(), LatentPool(model().config, BLOCKS, SIZE, torch.float32, "cpu"))
        self.furthest = 0.0
        self.drawn: list[list[int]] = []
        self.planned: list[list[int]] = []

    def watch(self, scheduler: Scheduler) -> None:
        """Note what each row stands for when it is planned: its conversation may change while the step runs."""
        plan = scheduler.plan

        def planned() -> Plan | None:
            if made := plan():
                rows = [row for row in made.rows if row.draw]
                self.planned = [row.stream.context.ids[: row.start + len(row.ids)] for row in rows]
            return made

        scheduler.plan = planned  # type: ignore[method-assign]

    def step(self, plan: Plan, draw: Draw) -> list[int]:
        def watched(logits: torch.Tensor, rows: Sequence[object]) -> torch.Tensor:
            for ids, line in zip(self.planned, logits, strict=True):
                self.furthest = max(self.furthest, float((line - fresh(ids)).abs().max()))
                self.drawn.append(ids)
            return draw(logits, rows)  # type: ignore[arg-type]

        return super().step(plan, watched)


class Talk:
    """One session, and what can be done with it."""

    def __init__(self, engine: Engine, prompt: str) -> None:
        self.outbox = Outbox(10_000)
        history = (Message(1, Role.SYSTEM, prompt),)
        self.session = Session(Opening(history=history, tools=TOOLS), Limits(), engine, self.outbox)
        self.messages = self.session._conversation
        self._next = 1

    def _id(self) -> int:
        self._next += 1
        return self._next

    async def do(self, number: int, text: str) -> list[int] | None:
        """One of the operations that make sense now. Returns the tokens that an answer must begin with, if one did."""
        operation = self._operation(number, text)
        expected = None
        if isinstance(operation, Generate):
            rendered = ChatFormat(tokenizer()).render(self.messages.prompt(operation.sampling), answer=True)
            expected = rendered.ids
        if operation is not None:
            await self.session.apply(operation)
        return expected

    def _operation(self, number: int, text: str) -> Operation | None:
        history = self.messages.history()
        last = history[-1]
        provisional = [entry.id for entry in self.messages._entries.values() if entry.provisional]
        answers = [message.id for message in history if message.role is Role.ASSISTANT]
        match number:
            case 0 | 1 if last.id in provisional:
                return Append(Message(last.id, last.role, text), provisional=True)
            case 0 | 1 | 2:
                return Append(Message(self._id(), Role.USER, text), provisional=number < 2)
            case 3 if provisional:
                return Commit(provisional[0])
            case 4 if provisional:
                return Retract(provisional[-1])
            case 5 | 7 if self.messages.running is None:
                choice = ToolChoice.REQUIRED if number == 7 else None
                sampling = Sampling(temperature=0.9, seed=len(text), max_tokens=12, tool_choice=choice)
                return Generate(self._id(), sampling)
            case 8 if self.messages.running is not None:
                return Stop(self.messages.running)
            case 9 if answers:
                return Truncate(answers[-1], len(text))
            case 11 if waiting := self._unanswered(history):
                return Append(Message(self._id(), Role.TOOL, '{"ok": true}', tool_call_id=waiting), provisional=False)
        return None

    @staticmethod
    def _unanswered(history: Sequence[Message]) -> str:
        answered = {message.tool_call_id for message in history}
        return next((c.id for m in history for c in m.tool_calls if c.id not in answered), "")


@asynccontextmanager
async def watching(load: Load | None = None) -> AsyncIterator[tuple[Engine, Watched]]:
    """An engine, warm."""
    watched = Watched()
    engine = Engine(Plant("nano", tokenizer(), lambda: watched, some_blocks(BLOCKS), 400, Sampling(), load))
    watched.watch(engine.desk._scheduler)
    await engine.warm_up()
    watched.drawn.clear()
    try:
        yield engine, watched
    finally:
        await engine.close()


async def run(engine: Engine, watched: Watched, operations: list[tuple[int, int, str, int]]) -> None:
    talks = [Talk(engine, prompt) for prompt in ("Answer the telephone.", "Answer the telephone, please.")]
    try:
        for talk in talks:
            await talk.session.__aenter__()
        for who, number, text, steps in operations:
            try:
                await talks[who].do(number, text)
            except Busy:
                continue
            for _ in range(steps):
                await asyncio.sleep(0.0005)
        for talk in talks:
            await talk.session.finished()
    finally:
        for talk in talks:
            await talk.session.__aexit__(None, None, None)
    assert engine.plant.blocks.available == engine.plant.blocks.capacity


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.sampled_from([0, 1, 2, 3, 4, 5, 5, 5, 7, 8, 9, 9, 9, 11]),
            st.sampled_from([" Tue", "sday", " I would like to book", "?", " appointment", "héllo 👋 ", " help you"]),
            st.sampled_from([0, 1, 5, 20]),
        ),
        min_size=12,
        max_size=30,
    )
)
def test_after_any_operations_tokens_are_drawn_as_after_a_fresh_prefill(operations):
    async def main() -> None:
        # Little is admitted for, and little computed at a time: conversations give way to one another in the middle.
        async with watching(Load(least_tokens=3, most_tokens=9, answer_tokens=2)) as (engine, watched):
            await run(engine, watched, operations)
            assert watched.furthest < 1e-4

    asyncio.run(main())


async def test_what_is_drawn_follows_the_history_to_the_token():
    """An answer begins with exactly the tokens of the history; those that were generated are as they were."""
    async with watching() as (engine, watched):
        talk = Talk(engine, "Answer.")
        async with talk.session:
            for number, text in [
                (0, "I would"),
                (1, " like"),
                (3, ""),
                (5, ""),
                (9, "abcd"),
                (2, "no"),
                (7, ""),
                (11, ""),
            ]:
                before = len(watched.drawn)
                expected = await talk.do(number, text)
                if expected is not None:
                    await talk.session.finished()
                    assert watched.drawn[before] == expected
        answer = talk.messages.history()[2]
        assert 0 < len(answer.text) <= 4
        assert tokenizer().decode(answer.token_ids).decode("utf-8", "replace") == answer.text
