"""The contract of language_model.proto over real gRPC, with the scripted backend and one that is scripted in time."""

import asyncio
from collections.abc import AsyncGenerator

import grpc
from prometheus_client import REGISTRY

from llm_worker.backends import Call, Delta, Finished, Reason, Step, Usage
from llm_worker.backends.scripted import FrontDesk
from llm_worker.messages import Prompt
from protos import language_model_pb2 as pb
from services.server import Drain
from tests.waiting import LONG, until

USER, SYSTEM, ASSISTANT, TOOL = pb.ROLE_USER, pb.ROLE_SYSTEM, pb.ROLE_ASSISTANT, pb.ROLE_TOOL
BOOK = pb.Tool(name="book", description="", parameters_json='{"type": "object"}')


class Slow(FrontDesk):
    """Says "one two three …" for ever, each word when it is let; shows tokens; remembers what it was asked."""

    def __init__(self, script: list[Step] | None = None) -> None:
        super().__init__()
        self.script = script
        self.let = asyncio.Semaphore(0)
        self.prompts: list[Prompt] = []
        self.prefilled: list[Prompt] = []
        self.closed = 0
        self.freed = asyncio.Event()

    async def prefill(self, prompt: Prompt) -> Usage:
        self.prefilled.append(prompt)
        return Usage(prompt_tokens=sum(len(m.text.split()) for m in prompt.messages), cached_tokens=1)

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Step, None]:
        self.prompts.append(prompt)
        try:
            for number, step in enumerate(self.script if self.script is not None else [Delta("word ", (7,))] * 1000):
                await self.let.acquire()
                if isinstance(step, Delta):
                    step = Delta(step.text, (number,))
                yield step
        finally:
            self.closed += 1
            self.freed.set()

    def allow(self, words: int) -> None:
        for _ in range(words):
            self.let.release()


async def test_an_answer_from_open_to_done(serving):
    async with serving(FrontDesk()) as connect:
        talk = connect()
        opened = await talk.open(conversation_id="c1", now="2026-11-22T09:00:00+01:00")
        assert opened.model == "front-desk"
        assert opened.worker_id
        await talk.say(1, "What are your opening hours?")
        text, calls, done = await talk.answer(2)
        assert text.startswith("We're open Monday to Friday, from 8 AM to 5 PM.")
        assert (calls, done.reason) == ([], pb.FINISH_REASON_END)
        assert done.generated_tokens == len(text.split())
        assert 0 < done.first_token_seconds <= done.total_seconds
        await talk.end()


async def test_counts_of_tokens_are_passed_on(serving):
    backend = Slow([Delta("Hi"), Finished(Reason.END, Usage(11, 5, 1))])
    backend.allow(2)
    async with serving(backend) as connect:
        talk = connect()
        opened = await talk.open(history=[pb.Message(id=1, role=SYSTEM, text="be kind to callers")])
        assert (opened.prompt_tokens, opened.cached_tokens) == (4, 1)
        _, _, done = await talk.answer(2)
        assert (done.prompt_tokens, done.cached_tokens, done.generated_tokens) == (11, 5, 1)


async def test_a_message_grows_and_is_prefilled_each_time(serving):
    backend = Slow()
    async with serving(backend) as connect:
        talk = connect()
        await talk.open()
        await talk.say(1, "I would like", provisional=True)
        await talk.say(1, " to book", provisional=True)
        await talk.send(commit=pb.Commit(message_id=1))
        await talk.send(generate=pb.Generate(generation_id=2))
        backend.allow(1)
        await talk.read("text")
        assert [m.text for m in backend.prompts[0].messages] == ["I would like to book"]
        assert [p.messages[0].text for p in backend.prefilled[1:]] == ["I would like", "I would like to book"]


async def test_stop_ends_at_the_next_step_and_frees_the_backend(serving):
    backend = Slow()
    async with serving(backend) as connect:
        talk = connect()
        await talk.open()
        await talk.say(1, "Hello")
        await talk.send(generate=pb.Generate(generation_id=2))
        backend.allow(3)
        for _ in range(3):
            await talk.read("text")
        await talk.send(stop=pb.Stop(generation_id=2))
        done = (await talk.read("done")).done
        assert (done.generation_id, done.reason) == (2, pb.FINISH_REASON_STOPPED)
        assert backend.closed == 1
        await talk.send(stop=pb.Stop(generation_id=2))  # it has ended already: nothing happens
        await talk.say(3, "Go on")
        await talk.send(generate=pb.Generate(generation_id=4))
        backend.allow(1)
        await talk.read("text")
        assert backend.prompts[1].messages[1].text == "word word word "
        assert backend.prompts[1].messages[1].token_ids == (0, 1, 2)


async def test_generate_right_after_stop_does_not_wait_for_done(serving):
    backend = Slow()
    async with serving(backend) as connect:
        talk = connect()
        await talk.open()
        await talk.send(generate=pb.Generate(generation_id=1))
        await talk.send(stop=pb.Stop(generation_id=1))
        await talk.send(generate=pb.Generate(generation_id=2))
        assert (await talk.read("done")).done.generation_id == 1
        backend.allow(1)
        assert (await talk.read("text")).text.generation_id == 2


async def test_truncate_stops_first_and_rounds_down_to_a_token(serving):
    backend = Slow()
    async with serving(backend) as connect:
        talk = connect()
        await talk.open()
        await talk.send(generate=pb.Generate(generation_id=1))
        backend.allow(4)
        for _ in range(4):
            await talk.read("text")
        await talk.send(truncate=pb.Truncate(generation_id=1, keep_code_points=13))
        assert (await talk.read("done")).done.reason == pb.FINISH_REASON_STOPPED
        assert (await talk.read("truncated")).truncated.kept_text == "word word "


async def test_truncate_of_a_finished_answer_counts_code_points(serving):
    async with serving(FrontDesk()) as connect:
        talk = connect()
        await talk.open(history=[pb.Message(id=1, role=ASSISTANT, text="Grüße 👋🏽 to you")])
        await talk.send(truncate=pb.Truncate(generation_id=1, keep_code_points=8))
        assert (await talk.read("truncated")).truncated.kept_text == "Grüße 👋🏽"


async def test_retract_takes_out_the_message_and_the_answer_to_it(serving):
    backend = Slow()
    async with serving(backend) as connect:
        talk = connect()
        await talk.open(history=[pb.Message(id=1, role=USER, text="Hello")])
        await talk.say(2, "I want to", provisional=True)
        await talk.send(generate=pb.Generate(generation_id=3))
        backend.allow(1)
        await talk.read("text")
        await talk.send(retract=pb.Retract(message_id=2))
        done = (await talk.read("done")).done
        assert (done.generation_id, done.reason) == (3, pb.FINISH_REASON_STOPPED)
        await talk.say(4, "I want to cancel")
        await talk.send(generate=pb.Generate(generation_id=5))
        backend.allow(1)
        await talk.read("text")
        assert [m.text for m in backend.prompts[1].messages] == ["Hello", "I want to cancel"]


async def test_a_tool_call_and_its_result(serving):
    backend = Slow([Delta("One moment."), Call("book", '{"day": 1}'), Call("book", "{}"), Finished(Reason.TOOL_CALLS)])
    backend.allow(99)
    async with serving(backend) as connect:
        talk = connect()
        await talk.open(tools=[BOOK])
        await talk.say(1, "Book it")
        text, calls, done = await talk.answer(2)
        assert (text, done.reason) == ("One moment.", pb.FINISH_REASON_TOOL_CALLS)
        assert [(call.name, call.arguments_json) for call in calls] == [("book", '{"day": 1}'), ("book", "{}")]
        assert len({call.id for call in calls}) == 2
        await talk.say(3, '{"ok": true}', role="tool", call=calls[0].id)
        await talk.send(truncate=pb.Truncate(generation_id=2, keep_code_points=0))
        assert (await talk.read("truncated")).truncated.kept_text == ""
        await talk.answer(4)
        answered = backend.prompts[1].messages
        assert [call.id for call in answered[1].tool_calls] == [call.id for call in calls]
        assert answered[2].tool_call_id == calls[0].id


async def test_cancelling_the_stream_frees_the_backend(serving):
    backend = Slow()
    async with serving(backend, max_conversations=1) as connect:
        talk = connect()
        await talk.open()
        await talk.send(generate=pb.Generate(generation_id=1))
        backend.allow(1)
        await talk.read("text")
        talk.cancel()
        async with asyncio.timeout(LONG):
            await backend.freed.wait()
        await until(lambda: not REGISTRY.get_sample_value("trunkline_llm_conversations"))
        await connect().open()  # the place is free again


async def test_an_answer_goes_on_after_the_client_has_said_all(serving):
    backend = Slow([Delta("a"), Delta("b"), Finished(Reason.END)])
    async with serving(backend) as connect:
        talk = connect()
        await talk.open()
        await talk.send(generate=pb.Generate(generation_id=1))
        await talk._call.done_writing()
        backend.allow(3)
        assert (await talk.collect(1))[0] == "ab"


async def test_draining_is_announced_to_open_conversations(serving):
    drain = Drain()
    async with serving(FrontDesk(), drain) as connect:
        talk = connect()
        await talk.open()
        drain.begin(7)
        assert 2 < (await talk.read("draining")).draining.deadline_seconds <= 7
        await talk.say(1, "hello")
        assert (await talk.answer(2))[0]


async def test_one_generation_at_a_time(serving):
    async with serving(Slow()) as connect:
        talk = connect()
        await talk.open()
        await talk.send(generate=pb.Generate(generation_id=1))
        await talk.send(generate=pb.Generate(generation_id=2))
        error = await talk.status()
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "one runs at a time" in error.details()


async def test_sampling_of_an_answer_overrides_the_conversations(serving):
    backend = Slow([Finished(Reason.END)])
    backend.allow(9)
    async with serving(backend) as connect:
        talk = connect()
        await talk.open(sampling=pb.Sampling(temperature=0.5, max_tokens=9))
        await talk.answer(1, sampling=pb.Sampling(temperature=0))
        drawn = backend.prompts[0].sampling
        assert (drawn.temperature, drawn.max_tokens) == (0, 9)


async def test_limits_and_stops_of_the_scripted_backend(serving):
    async with serving(FrontDesk()) as connect:
        talk = connect()
        await talk.open(history=[pb.Message(id=1, role=USER, text="When are you open?")])
        text, _, done = await talk.answer(2, sampling=pb.Sampling(max_tokens=2))
        assert (text, done.reason) == ("We're open", pb.FINISH_REASON_LENGTH)
        await talk.say(3, "When are you open?")
        text, _, done = await talk.answer(4, sampling=pb.Sampling(stop=["Friday"]))
        assert (text, done.reason) == ("We're open Monday to", pb.FINISH_REASON_END)


async def test_a_slow_reader_slows_its_answer_down(serving):
    """The outbox is bounded: what the client does not read is not generated."""
    backend = Slow()
    backend.script = [Delta("x" * 20_000)] * 5000
    backend.allow(5000)
    async with serving(backend) as connect:
        talk = connect()
        await talk.open()
        await talk.send(generate=pb.Generate(generation_id=1))
        await asyncio.sleep(0.5)
        assert backend.let._value > 2500
        await talk.send(stop=pb.Stop(generation_id=1))
        text, _, done = await talk.collect(1)
        assert done.reason == pb.FINISH_REASON_STOPPED
        assert len(text) > 20_000
