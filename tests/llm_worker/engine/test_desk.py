"""Conversations of token ids in front of the engine's thread."""

import asyncio
from contextlib import aclosing, asynccontextmanager

import pytest

from llm_worker.backends import Delta, Finished, Reason
from llm_worker.engine.desk import Desk
from llm_worker.engine.scheduler import Load, Urgency
from services.errors import Busy
from tests.llm_worker.engine.support import SIZE, Greedy, fresh, greedy, runner, some_blocks


@asynccontextmanager
async def desk(blocks: int = 64, **load):
    made: Desk[Greedy] = Desk(some_blocks(blocks), greedy, Load(**({"answer_tokens": 4} | load)))
    await made.start(lambda: runner(blocks))
    try:
        yield made
    finally:
        await made.close()


async def answer(seat, ids, tokens):
    reading = Greedy()
    async with aclosing(seat.generate(ids, reading, tokens)) as steps:
        made = [step async for step in steps]
    assert isinstance(made[-1], Finished)
    return [token for step in made[:-1] if isinstance(step, Delta) for token in step.token_ids], made[-1]


def by_hand(ids, tokens):
    """What the plain model says."""
    made = list(ids)
    for _ in range(tokens):
        made.append(int(fresh(made).argmax()))
    return made[len(ids) :]


async def test_answers_are_those_of_the_plain_model_alone_and_together():
    async with desk() as at:
        prompts = [[50, 60, 70], [50, 60, 70, 80, 90], list(range(50, 70))]
        seats = [at.seat() for _ in prompts]
        made = await asyncio.gather(*(answer(seat, ids, 6) for seat, ids in zip(seats, prompts, strict=True)))
        for ids, (said, finished) in zip(prompts, made, strict=True):
            assert said == by_hand(ids, 6)
            assert (finished.reason, finished.usage.generated_tokens) == (Reason.LENGTH, 6)


async def test_what_was_said_stays_and_the_rest_goes_on_from_there():
    async with desk() as at:
        seat = at.seat()
        ids = list(range(50, 62))
        assert await seat.prefill(ids, Urgency.OPENING) == 0
        said, finished = await answer(seat, ids, 5)
        assert finished.usage.cached_tokens == 12
        ids = [*ids, *said[:3], 100, 101]
        seat.follow(ids[:15])
        assert seat.stream.context.computed == 15
        assert await seat.prefill(ids, Urgency.SPEECH) == 15
        assert (await answer(seat, ids, 4))[0] == by_hand(ids, 4)


async def test_a_conversation_that_found_everything_gives_it_back_when_others_need_it():
    async with desk(blocks=1 + 4) as at:
        first, second, third = at.seat(), at.seat(), at.seat()
        ids = list(range(50, 50 + 2 * SIZE))
        await first.prefill(ids, Urgency.OPENING)
        assert await second.prefill(ids, Urgency.OPENING) == 2 * SIZE
        first.close()
        await third.prefill(list(range(80, 80 + 4 * SIZE)), Urgency.OPENING)
        assert (second.stream.context.computed, third.stream.context.computed) == (0, 4 * SIZE)
        third.close()
        assert (await answer(second, ids, 2))[0] == by_hand(ids, 2)


async def test_what_is_idle_the_longest_goes_first():
    async with desk(blocks=1 + 4) as at:
        one, two, three = at.seat(), at.seat(), at.seat()
        await one.prefill(list(range(50, 54)), Urgency.OPENING)
        await two.prefill(list(range(60, 64)), Urgency.OPENING)
        await one.prefill(list(range(50, 54)), Urgency.SPEECH)  # nothing to do, but it was used
        await three.prefill(list(range(70, 82)), Urgency.OPENING)
        assert (one.stream.context.computed, two.stream.context.computed) == (4, 0)


async def test_stopping_in_the_middle_of_a_step_leaves_nothing_of_it():
    async with desk() as at:
        seat = at.seat()
        ids = list(range(50, 60))
        steps = seat.generate(ids, Greedy(), 50)
        await anext(steps)
        await steps.aclose()  # a step is under way
        cut = [*ids[:6], 100, 101, 102]
        assert (await answer(seat, cut, 4))[0] == by_hand(cut, 4)
        seat.close()
        assert at.blocks.available == at.blocks.capacity


async def test_busy_leaves_the_others_alone():
    async with desk(blocks=1 + 6) as at:
        working, other = at.seat(), at.seat()
        steps = working.generate(list(range(50, 66)), Greedy(), 8)
        await anext(steps)
        with pytest.raises(Busy):
            await other.prefill(list(range(100, 120)), Urgency.OPENING)
        other.close()
        assert len([step async for step in steps]) == 8
