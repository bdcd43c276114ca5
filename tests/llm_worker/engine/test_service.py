"""The engine over real gRPC: what a client sees of the cache, of full workers, and of its neighbours."""

import asyncio
import json
from typing import Any

import grpc
import pytest
from prometheus_client import REGISTRY

from llm_worker.backends.engine import Engine, Plant
from llm_worker.engine.scheduler import Load
from llm_worker.messages import Prompt, Sampling
from protos import language_model_pb2 as pb
from tests.llm_worker.engine.support import SIZE, runner, some_blocks, tokenizer
from tests.waiting import until

SYSTEM, USER, ASSISTANT = pb.ROLE_SYSTEM, pb.ROLE_USER, pb.ROLE_ASSISTANT
BOOK = pb.Tool(
    name="book",
    description="Books.",
    parameters_json='{"type": "object", "properties": {"day": {"enum": ["Tuesday"]}}, "required": ["day"]}',
)
PROMPT = "You answer the telephone of a practice. You are kind and short, and you never invent what you do not know."


def engine(blocks: int = 600, limit: int = 2000, **load: Any) -> Engine:
    plant = Plant("nano", tokenizer(), lambda: runner(blocks), some_blocks(blocks), limit, Sampling(), Load(**load))
    return Engine(plant)


def system(text: str = PROMPT) -> list[pb.Message]:
    return [pb.Message(id=1, role=SYSTEM, text=text)]


def few(tokens: int = 8, **fields: Any) -> pb.Sampling:
    return pb.Sampling(max_tokens=tokens, **fields)


async def test_a_conversation_stays_in_the_cache_between_turns(serving):
    backend = engine()
    async with serving(backend) as connect:
        talk = connect()
        opened = await talk.open(history=system())
        assert (opened.model, opened.context_limit) == ("nano", 2000)
        assert opened.prompt_tokens > 20
        await talk.say(2, "I would like to book", provisional=True)
        await talk.say(2, " an appointment for Tuesday.", provisional=True)
        await talk.send(commit=pb.Commit(message_id=2))
        before = backend.desk.computed_tokens
        _, calls, done = await talk.answer(3, sampling=few())
        assert (done.reason, calls, done.generated_tokens) == (pb.FINISH_REASON_LENGTH, [], 8)
        assert done.cached_tokens >= done.prompt_tokens - 10  # the last word, the settings, what closes the message
        assert backend.desk.computed_tokens - before <= 10 + 7
        await talk.say(4, "Thank you.")
        _, _, later = await talk.answer(5, sampling=few())
        assert later.prompt_tokens > done.prompt_tokens + 8
        assert later.cached_tokens >= done.prompt_tokens + 7
        assert REGISTRY.get_sample_value("trunkline_llm_cache_tokens") >= later.prompt_tokens
        await talk.end()


async def test_calls_share_their_beginning_and_reopening_finds_it(serving):
    backend = engine()
    async with serving(backend) as connect:
        first, second = connect(), connect()
        opened = await first.open(history=system())
        other = await second.open(history=system())
        assert opened.cached_tokens < opened.prompt_tokens
        assert other.cached_tokens >= other.prompt_tokens - 2 * SIZE
        await first.say(2, "Hello")
        _, _, done = await first.answer(3, sampling=few())
        await first.end()
        again = connect()
        hello = pb.Message(id=2, role=USER, text="Hello")
        reopened = await again.open(history=[*system(), hello, pb.Message(id=3, role=ASSISTANT, text="Good morning")])
        assert reopened.cached_tokens >= done.prompt_tokens - SIZE


async def test_the_same_seed_gives_the_same_answer_whoever_else_speaks(serving):
    async with serving(engine()) as connect:
        asked = few(30, seed=5, temperature=1.0, top_p=0.9, min_p=0.01)
        alone = connect()
        await alone.open(history=system())
        expected, _, _ = await alone.answer(2, sampling=asked)
        talks = [connect() for _ in range(4)]
        for number, talk in enumerate(talks):
            await talk.open(history=system(PROMPT * (number % 2 + 1)))
        answers = await asyncio.gather(*(talk.answer(2, sampling=asked) for talk in talks))
        assert answers[0][0] == answers[2][0] == expected
        assert answers[1][0] == answers[3][0]


async def test_stop_truncate_and_retract(serving):
    async with serving(engine()) as connect:
        talk = connect()
        await talk.open(history=system())
        await talk.send(generate=pb.Generate(generation_id=2, sampling=few(500, temperature=1, seed=2)))
        said = ""
        while len(said) < 10:
            said += (await talk.read("text")).text.text
        await talk.send(stop=pb.Stop(generation_id=2))
        _, _, done = await talk.collect(2)
        assert done.reason == pb.FINISH_REASON_STOPPED
        await talk.send(truncate=pb.Truncate(generation_id=2, keep_code_points=6))
        kept = (await talk.read("truncated")).truncated.kept_text
        assert 0 < len(kept) <= 6
        assert said.startswith(kept)
        await talk.say(3, "No, ", provisional=True)
        await talk.send(generate=pb.Generate(generation_id=4, sampling=few(500)))
        await talk.read("text")
        await talk.send(retract=pb.Retract(message_id=3))
        _, _, done = await talk.collect(4)
        assert done.reason == pb.FINISH_REASON_STOPPED
        await talk.say(5, "No, thank you.")
        _, _, done = await talk.answer(6, sampling=few())
        assert done.generated_tokens == 8


async def test_a_required_call_fits_its_schema_and_none_of_it_is_text(serving):
    async with serving(engine()) as connect:
        talk = connect()
        await talk.open(history=system(), tools=[BOOK])
        await talk.say(2, "Book Tuesday")
        required = few(200, tool_choice=pb.TOOL_CHOICE_REQUIRED, temperature=1, seed=4)
        text, calls, done = await talk.answer(3, sampling=required)
        assert (text, done.reason) == ("", pb.FINISH_REASON_TOOL_CALLS)
        assert {call.name for call in calls} == {"book"}
        assert json.loads(calls[0].arguments_json) == {"day": "Tuesday"}
        before = done.prompt_tokens
        await talk.say(4, '{"ok": true}', role="tool", call=calls[0].id)
        _, calls, done = await talk.answer(5, sampling=few(tool_choice=pb.TOOL_CHOICE_NONE))
        assert calls == []
        assert done.cached_tokens >= before


async def test_too_long_a_context_is_refused_before_any_work_and_says_the_limit(serving):
    backend = engine(limit=300)
    async with serving(backend) as connect:
        before = backend.desk.computed_tokens
        talk = connect()
        await talk.send(open=pb.Open(history=system("Tuesday " * 400)))
        error = await talk.status()
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert error.details().startswith("open.history: the context would be ")
        assert "at most 300" in error.details()
        assert backend.desk.computed_tokens == before
        talk = connect()
        await talk.open()
        await talk.send(append=pb.Append(message_id=1, role=USER, text="Tuesday " * 400))
        assert (await talk.status()).details().startswith("append: ")
        talk = connect()
        await talk.open()
        _, _, done = await talk.answer(1, sampling=few(1000, temperature=1))
        assert done.prompt_tokens + done.generated_tokens <= 300


@pytest.mark.parametrize(
    ("field", "schema"),
    [("open.tools[0].parameters_json", '{"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}')],
)
async def test_a_tool_that_no_grammar_can_be_made_of_is_refused(serving, field, schema):
    async with serving(engine()) as connect:
        talk = connect()
        await talk.send(open=pb.Open(tools=[pb.Tool(name="book", parameters_json=schema)]))
        error = await talk.status()
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert error.details().startswith(field)


async def test_a_full_cache_is_busy_for_the_newcomer_and_no_neighbour_notices(serving):
    backend = engine(blocks=1 + 90, limit=360, answer_tokens=100)
    async with serving(backend) as connect:
        talk, other = connect(), connect()
        await talk.open(history=system())
        await talk.send(generate=pb.Generate(generation_id=2, sampling=few(170, temperature=1, seed=1)))
        await talk.read("text")
        await other.send(open=pb.Open(history=system("Tuesday, " * 100)))
        error = await other.status()
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert int(dict(error.trailing_metadata())["retry-after-ms"]) > 0
        _, _, done = await talk.collect(2)
        assert done.generated_tokens == 170 or done.reason == pb.FINISH_REASON_END


async def test_a_client_that_vanishes_frees_its_blocks(serving):
    backend = engine()
    async with serving(backend) as connect:
        talk = connect()
        await talk.open(history=system())
        await talk.send(generate=pb.Generate(generation_id=2, sampling=few(1000)))
        await talk.read("text")
        talk.cancel()
        blocks = backend.plant.blocks
        await until(lambda: blocks.available == blocks.capacity)


async def test_a_thousand_conversations_that_are_never_used_take_nothing_from_the_one_that_is(serving):
    backend = engine(blocks=1 + 200, limit=400)
    async with serving(backend, max_conversations=1001) as connect:
        talk = connect()
        await talk.open(history=system())
        kept = []
        for number in range(1000):
            idle = connect()
            await idle.open(history=system(f"You are number {number}."))
            kept.append(idle)
            if number % 250 == 0:
                assert (await talk.answer(2 + number, sampling=few()))[2].generated_tokens == 8
        assert len(backend.desk._scheduler._idle) + len(backend.desk._seats) <= 201
        _, _, done = await talk.answer(5000, sampling=few())
        assert done.generated_tokens == 8
        for idle in kept:
            idle.cancel()


async def test_a_slow_reader_pauses_its_answer_and_nobody_elses(serving):
    backend = engine(limit=2000)
    async with serving(backend) as connect:
        slow, quick = connect(), connect()
        await slow.open(history=system())
        await quick.open(history=system())
        dialogue = backend.open()
        answer = dialogue.generate(Prompt("", (), sampling=Sampling(max_tokens=1500, temperature=1.0, seed=3)))
        await anext(answer)
        seat = dialogue._seat  # type: ignore[attr-defined]
        await until(lambda: seat.stream.paused)
        assert seat.answer.generated < 200
        assert (await quick.answer(2, sampling=few(20)))[2].generated_tokens == 20
        generated = seat.answer.generated
        for _ in range(50):
            await anext(answer)
        await until(lambda: seat.answer.generated > generated)
        await answer.aclose()
        dialogue.close()


async def test_a_step_that_fails_is_internal_and_the_worker_goes_on(serving):
    backend = engine()
    async with serving(backend) as connect:
        talk = connect()
        await talk.open(history=system())
        step = backend.desk._runner.step
        backend.desk._runner.step = lambda plan, draw: 1 / 0
        await talk.send(generate=pb.Generate(generation_id=2))
        assert (await talk.status()).code() is grpc.StatusCode.INTERNAL
        backend.desk._runner.step = step
        talk = connect()
        await talk.open(history=system())
        assert (await talk.answer(2, sampling=few()))[2].generated_tokens == 8


async def test_an_unknown_model_is_not_found(serving):
    async with serving(engine()) as connect:
        talk = connect()
        await talk.send(open=pb.Open(model="gpt-9"))
        assert (await talk.status()).code() is grpc.StatusCode.NOT_FOUND
