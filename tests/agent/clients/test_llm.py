"""Minds over real gRPC: the conversation survives its workers, and nothing is done twice."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agent.clients import LanguageModel
from agent.clients.types import (
    Done,
    FinishReason,
    GenerationLost,
    Message,
    MindLost,
    Opening,
    Prefilled,
    Role,
    Sampling,
    TextDelta,
    Tool,
    ToolCallAsked,
    Truncated,
)
from services.errors import InvalidRequest
from tests.agent.clients.scripted import Running
from tests.waiting import LONG, until

START = Opening(
    history=(Message(1, Role.SYSTEM, "Be brief."),),
    tools=(Tool("look", "Looks.", {"type": "object", "properties": {}}),),
    sampling=Sampling(temperature=0.0, max_tokens=50),
    language="en",
)


@asynccontextmanager
async def talking(workers: Any, *running: Any) -> Any:
    async with LanguageModel(workers(*running)).open("c", START) as mind:
        if isinstance(running[0], Running):
            await until(lambda: running[0].servicer.streams and running[0].servicer.streams[0])
        yield mind, mind.events()


async def upto(events: Any, kind: type) -> list[Any]:
    """Events up to the first of `kind`."""
    seen = []
    async with asyncio.timeout(LONG):
        async for event in events:
            seen.append(event)
            if isinstance(event, kind):
                return seen
    raise AssertionError(f"no {kind.__name__} in {seen}")


def said(events: list[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def texts(mind: Any) -> list[tuple[int, str]]:
    return [(m.id, m.text or "".join(call.name for call in m.tool_calls)) for m in mind.history]


async def test_a_question_and_its_answer(worker: Any, workers: Any) -> None:
    one = await worker("llm")
    async with talking(workers, one) as (mind, events):
        mind.append(2, Role.USER, "we are ", provisional=True)
        mind.append(2, Role.USER, "open today", provisional=True)
        mind.commit(2)
        mind.generate(3)
        seen = await upto(events, Done)
        assert said(seen) == "we are open today "
        assert seen[-1] == Done(3, FinishReason.END)
        assert texts(mind) == [(1, "Be brief."), (2, "we are open today"), (3, "we are open today ")]
        assert mind.history[-1].token_ids == (2, 3, 4, 5)
    opening = one.servicer.streams[0][0].open
    assert (opening.language, opening.sampling.max_tokens, opening.tools[0].name) == ("en", 50, "look")
    assert opening.sampling.HasField("temperature")
    assert not opening.sampling.HasField("top_p")


async def test_a_tool_call_and_its_result(worker: Any, workers: Any) -> None:
    one = await worker("llm")
    async with talking(workers, one) as (mind, events):
        mind.append(2, Role.USER, "call look")
        mind.generate(3)
        seen = await upto(events, Done)
        call = next(event.call for event in seen if isinstance(event, ToolCallAsked))
        assert (call.name, seen[-1].reason) == ("look", FinishReason.TOOL_CALLS)
        mind.append(4, Role.TOOL, '"there"', tool_call_id=call.id)
        mind.generate(5)
        assert said(await upto(events, Done)) == '"there" '


async def test_stop_and_truncate(worker: Any, workers: Any) -> None:
    one = await worker("llm")
    one.servicer.pace = 0.01
    async with talking(workers, one) as (mind, events):
        mind.append(2, Role.USER, " ".join(f"word{i}" for i in range(300)))
        mind.generate(3)
        await upto(events, TextDelta)
        mind.stop(3)
        seen = await upto(events, Done)
        assert seen[-1].reason is FinishReason.STOPPED
        assert not said(seen)
        mind.truncate(3, 8)
        assert (await upto(events, Truncated))[-1] == Truncated(3, "word0 ")
        assert texts(mind)[-1] == (3, "word0 ")
        assert one.servicer.streams[0]
    await until(lambda: one.servicer.last)
    assert one.servicer.last.texts()[-1] == (3, "word0 ")


async def test_speculation_taken_back(worker: Any, workers: Any) -> None:
    one = await worker("llm")
    one.servicer.faults.held = True
    async with talking(workers, one) as (mind, events):
        mind.append(2, Role.USER, "I would", provisional=True)
        mind.generate(3)
        mind.retract(2)
        mind.append(4, Role.USER, "I would like", provisional=True)
        mind.generate(5)
        await until(lambda: one.servicer.streams[0][-1].generate.generation_id == 5)
        one.servicer.faults.set(held=False)
        seen = await upto(events, Done)
        assert seen[-1] == Done(3, FinishReason.STOPPED)
        assert said(await upto(events, Done)) == "I would like "
        assert texts(mind) == [(1, "Be brief."), (4, "I would like"), (5, "I would like ")]


async def test_a_killed_worker_loses_the_generation_and_not_the_conversation(worker: Any, workers: Any) -> None:
    one, other = await worker("llm"), await worker("llm")
    async with talking(workers, one, other) as (mind, events):
        mind.append(2, Role.USER, "call look")
        mind.generate(3)
        call = (await upto(events, Done))[-2].call
        mind.append(4, Role.TOOL, "7", tool_call_id=call.id)
        long = " ".join(["one", *("more" for _ in range(500))])
        mind.append(5, Role.USER, long)
        one.servicer.pace = 0.02
        mind.generate(6)
        await upto(events, TextDelta)
        await one.kill()
        lost = (await upto(events, GenerationLost))[-1]
        assert lost.generation_id == 6
        assert lost.reachable
        assert lost.text.startswith("one ")
        mind.truncate(6, 4)
        assert isinstance((await upto(events, Truncated))[-1], Truncated)
        mind.append(7, Role.USER, "and then")
        mind.generate(8)
        seen = await upto(events, Done)
        assert said(seen) == "and then "
        assert not [event for event in seen if isinstance(event, ToolCallAsked)]
        expected = [(1, "Be brief."), (2, "call look"), (3, "look"), (4, "7"), (5, long), (6, "one ")]
        assert texts(mind)[:6] == expected
    await until(lambda: other.servicer.last)
    assert other.servicer.last.texts() == texts(mind)


async def test_a_process_killed_and_started_again_on_its_port(process: Any, workers: Any) -> None:
    one = await asyncio.to_thread(process, "llm", 0, 0.5)
    async with talking(workers, one) as (mind, events):
        mind.append(2, Role.USER, "one two three four five six")
        mind.generate(3)
        await upto(events, TextDelta)
        one.kill()
        lost = (await upto(events, GenerationLost))[-1]
        assert lost.text.startswith("one ")
        assert "one two three four five six ".startswith(lost.text)
        mind.truncate(3, 0)
        await asyncio.to_thread(process, "llm", one.port)
        mind.append(4, Role.USER, "again")
        for generation in range(5, 500):  # until it is reachable
            mind.generate(generation)
            seen = await upto(events, (Done, GenerationLost))  # type: ignore[arg-type]
            if isinstance(seen[-1], Done):
                break
            await asyncio.sleep(0.1)
        assert said(seen) == "again "


async def test_without_a_worker_each_generation_is_given_up(
    worker: Any, workers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.clients.llm.PATIENCE", 3.0)
    one = await worker("llm")
    async with talking(workers, one) as (mind, events):
        mind.append(2, Role.USER, "hello")
        await upto(events, Prefilled)
        await one.kill()
        await until(lambda: mind._failover._stream is None)
        mind.generate(3)
        assert (await anext(events)) == GenerationLost(3, "", reachable=False)
        mind.generate(4)
        assert (await anext(events)) == GenerationLost(4, "", reachable=False)
        again = await worker("llm", port=one.port)
        await until(lambda: again.servicer.streams and not mind._mirror._lost_for_long)
        mind.generate(5)
        assert said(await upto(events, Done)) == "hello "


async def test_an_idle_mind_is_told_once(worker: Any, workers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.clients.llm.PATIENCE", 1.0)
    one = await worker("llm")
    async with talking(workers, one) as (mind, events):
        mind.append(2, Role.USER, "hello")
        await upto(events, Prefilled)
        await one.kill()
        assert isinstance(await anext(events), MindLost)


async def test_a_generation_asked_for_while_a_worker_is_sought_waits_for_it(
    worker: Any, workers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.clients.workers.OPEN_SECONDS", 1.0)
    one, other = await worker("llm"), await worker("llm")
    one.servicer.faults.slow_open = 600
    async with LanguageModel(workers(one, other)).open("c", START) as mind:
        events = mind.events()
        await until(lambda: one.servicer.streams)
        mind.append(2, Role.USER, "hello", provisional=True)
        mind.generate(3)
        assert said(await upto(events, Done)) == "hello "
        mind.retract(2)
        await until(lambda: other.servicer.streams[0][-1].WhichOneof("message") == "retract")


async def test_drain_moves_between_generations(worker: Any, workers: Any) -> None:
    one, other = await worker("llm"), await worker("llm")
    one.servicer.faults.held = True
    async with talking(workers, one, other) as (mind, events):
        mind.append(2, Role.USER, "one two", provisional=True)
        mind.generate(3)
        await upto(events, Prefilled)
        one.servicer.faults.set(draining=True)
        await asyncio.sleep(0.05)
        assert not other.servicer.streams
        one.servicer.faults.set(held=False)
        assert said(await upto(events, Done)) == "one two "
        await until(lambda: other.servicer.streams and other.servicer.streams[0])
        # The answer went over as history: taking it back means another fresh start.
        mind.retract(2)
        mind.append(4, Role.USER, "other words")
        mind.generate(5)
        assert said(await upto(events, Done)) == "other words "
        assert texts(mind) == [(1, "Be brief."), (4, "other words"), (5, "other words ")]


async def test_operations_that_cannot_be_raise_at_once(worker: Any, workers: Any) -> None:
    one = await worker("llm")
    async with talking(workers, one) as (mind, _):
        mind.append(2, Role.USER, "hello")
        mind.generate(3)
        with pytest.raises(ValueError, match="generation 3 has not ended"):
            mind.generate(4)
        with pytest.raises(ValueError, match="is committed"):
            mind.retract(2)
        with pytest.raises(ValueError, match="no appended message 9"):
            mind.commit(9)
        mind.stop(99)


async def test_what_the_worker_refuses_ends_the_events(worker: Any, workers: Any) -> None:
    one = await worker("llm")
    one.servicer.faults.on_open = InvalidRequest("open.tools", "too many")
    async with LanguageModel(workers(one)).open("c", START) as mind:
        events = mind.events()
        with pytest.raises(InvalidRequest, match="too many"):
            await anext(events)
