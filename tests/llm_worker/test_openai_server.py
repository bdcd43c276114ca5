"""The OpenAI-compatible backend against a real HTTP server, through the worker's own gRPC service."""

import asyncio
import json
import time

import grpc
import pytest

from llm_worker.backends.openai_errors import retry_after
from llm_worker.backends.openai_server import OpenAIServer
from llm_worker.config import LlmSettings
from llm_worker.setting import setting
from protos import language_model_pb2 as pb
from services.errors import NotFound, Unavailable
from tests.llm_worker.openai_stub import Stub, call_piece, chunk, dies, hangs, refuses, running, says
from tests.waiting import LONG

HELLO = says(chunk(role="assistant", content=""), chunk(content="Hel"), chunk(content="lo."), chunk(finish="stop"))
BOOK = pb.Tool(name="book", description="Book it.", parameters_json='{"type": "object", "properties": {}}')
FIND = pb.Tool(name="find", description="Find it.", parameters_json='{"type": "object"}')
ASK = [pb.Message(id=1, role=pb.ROLE_SYSTEM, text="Be kind."), pb.Message(id=2, role=pb.ROLE_USER, text="Hello?")]


def backend(stub, **settings):
    return OpenAIServer(LlmSettings(backend="openai", url=stub.url, **settings))


async def test_text_is_streamed_and_counted(serving):
    async with running(Stub(HELLO)) as stub, serving(backend(stub, api_key="sesame")) as connect:
        talk = connect()
        opened = await talk.open(history=ASK)
        assert opened.model == "tiny"
        text, calls, done = await talk.answer(3)
        assert (text, calls, done.reason) == ("Hello.", [], pb.FINISH_REASON_END)
        assert (done.prompt_tokens, done.cached_tokens, done.generated_tokens) == (20, 16, 3)
        assert stub.headers[0]["Authorization"] == "Bearer sesame"


async def test_the_request_says_all_that_the_conversation_says(serving):
    async with (
        running(Stub(HELLO)) as stub,
        serving(backend(stub, extra_body='{"reasoning_effort": "none"}', max_tokens=77)) as connect,
    ):
        talk = connect()
        await talk.open(
            history=ASK,
            tools=[BOOK],
            now="2026-11-24T09:05:00+01:00",
            language="en",
            sampling=pb.Sampling(temperature=0.25, top_p=0.5, min_p=0.125, seed=7, stop=["\n"]),
        )
        await talk.answer(3, sampling=pb.Sampling(tool_choice=pb.TOOL_CHOICE_REQUIRED))
    request = stub.requests[0]
    assert request["messages"] == [
        {
            "role": "system",
            "content": "Be kind.\n\n" + setting("2026-11-24T09:05:00+01:00", "en"),
        },
        {"role": "user", "content": "Hello?"},
    ]
    named = {name: request[name] for name in ("temperature", "top_p", "min_p", "seed", "stop", "max_tokens", "model")}
    assert named == {
        "temperature": 0.25, "top_p": 0.5, "min_p": 0.125, "seed": 7, "stop": ["\n"], "max_tokens": 77, "model": "tiny"
    }  # fmt: skip
    assert request["tool_choice"] == "required"
    assert request["tools"][0]["function"]["name"] == "book"
    assert (request["reasoning_effort"], request["stream"]) == ("none", True)


async def test_parallel_calls_are_assembled_from_fragments(serving):
    fragments = says(
        chunk(content="One moment."),
        chunk(tool_calls=[call_piece(0, "book", "", id="x")]),
        chunk(tool_calls=[call_piece(0, None, '{"na'), call_piece(1, "find", '{"d": ', id="y")]),
        chunk(tool_calls=[call_piece(1, None, "1}")]),
        chunk(tool_calls=[call_piece(0, None, 'me": "Zoë"}')]),
        chunk(finish="tool_calls"),
    )
    async with running(Stub(fragments, HELLO)) as stub, serving(backend(stub)) as connect:
        talk = connect()
        await talk.open(history=ASK, tools=[BOOK, FIND])
        text, calls, done = await talk.answer(3)
        assert (text, done.reason) == ("One moment.", pb.FINISH_REASON_TOOL_CALLS)
        assert [(c.name, json.loads(c.arguments_json)) for c in calls] == [
            ("book", {"name": "Zoë"}),
            ("find", {"d": 1}),
        ]
        # Results come in another order, the caller has spoken meanwhile, and one result is missing.
        await talk.say(4, "Are you there?")
        await talk.say(5, '{"slots": []}', role="tool", call=calls[1].id)
        await talk.answer(6)
    sent = stub.requests[1]["messages"]
    assert [m["role"] for m in sent] == ["system", "user", "assistant", "tool", "tool", "user"]
    assert [m["tool_call_id"] for m in sent[3:5]] == [c.id for c in calls]
    assert [m["content"] for m in sent[3:5]] == ['{"error": "no_result"}', '{"slots": []}']
    assert [c["function"]["name"] for c in sent[2]["tool_calls"]] == ["book", "find"]


async def test_calls_without_index_or_arguments(serving):
    fragments = says(
        chunk(tool_calls=[call_piece(None, "book")]),
        chunk(tool_calls=[call_piece(None, "find", "{")]),
        chunk(tool_calls=[call_piece(None, None, "}")]),
        chunk(finish="stop"),
    )
    async with running(Stub(fragments)) as stub, serving(backend(stub)) as connect:
        talk = connect()
        await talk.open(history=ASK, tools=[BOOK, FIND])
        _, calls, done = await talk.answer(3)
        assert [(c.name, c.arguments_json) for c in calls] == [("book", "{}"), ("find", "{}")]
        assert done.reason == pb.FINISH_REASON_TOOL_CALLS


@pytest.mark.parametrize(("name", "arguments"), [("book", '{"na'), ("book", "[1]"), ("launch", "{}")])
async def test_a_malformed_call_is_asked_for_again(serving, name, arguments):
    bad = says(chunk(content="Right."), chunk(tool_calls=[call_piece(0, name, arguments)]), chunk(finish="tool_calls"))
    good = says(
        chunk(content="Right!"), chunk(tool_calls=[call_piece(0, "book", '{"a": 1}')]), chunk(finish="tool_calls")
    )
    async with running(Stub(bad, good)) as stub, serving(backend(stub)) as connect:
        talk = connect()
        await talk.open(history=ASK, tools=[BOOK])
        text, calls, _ = await talk.answer(3)
        assert text == "Right."
        assert [c.arguments_json for c in calls] == ['{"a": 1}']


async def test_a_call_that_stays_malformed_is_internal(serving):
    bad = says(chunk(tool_calls=[call_piece(0, "book", '{"na')]), chunk(finish="tool_calls"))
    async with running(Stub(bad)) as stub, serving(backend(stub)) as connect:
        talk = connect()
        await talk.open(history=ASK, tools=[BOOK])
        await talk.send(generate=pb.Generate(generation_id=3))
        error = await talk.status()
        assert error.code() is grpc.StatusCode.INTERNAL
        assert "arguments for book are not JSON" in error.details()
        assert len(stub.requests) == 2


async def test_a_call_cut_off_by_the_limit_is_no_call(serving):
    cut = says(chunk(tool_calls=[call_piece(0, "book", '{"na')]), chunk(finish="length"))
    async with running(Stub(cut)) as stub, serving(backend(stub)) as connect:
        talk = connect()
        await talk.open(history=ASK, tools=[BOOK])
        assert (await talk.answer(3))[1:][1].reason == pb.FINISH_REASON_LENGTH


async def test_half_a_surrogate_pair_does_not_break_the_stream(serving):
    async with (
        running(Stub(says(chunk(content="\ud83d!"), chunk(finish="stop")))) as stub,
        serving(backend(stub)) as connect,
    ):
        talk = connect()
        await talk.open(history=ASK)
        assert (await talk.answer(3))[0] == "\ufffd!"


async def test_the_answer_ends_without_waiting_for_counts(serving):
    async with (
        running(Stub(hangs(chunk(content="Hi"), chunk(finish="stop")))) as stub,
        serving(backend(stub)) as connect,
    ):
        talk = connect()
        await talk.open(history=ASK)
        text, _, done = await talk.answer(3)
        assert (text, done.generated_tokens) == ("Hi", 0)
        assert done.total_seconds < 20


async def test_stop_closes_the_http_stream(serving):
    async with running(Stub(hangs(chunk(content="Well,")))) as stub, serving(backend(stub)) as connect:
        talk = connect()
        await talk.open(history=ASK)
        await talk.send(generate=pb.Generate(generation_id=3))
        await talk.read("text")
        assert not stub.closed.is_set()
        await talk.send(stop=pb.Stop(generation_id=3))
        assert (await talk.read("done")).done.reason == pb.FINISH_REASON_STOPPED
        await asyncio.wait_for(stub.closed.wait(), LONG)


async def test_cancelling_the_call_closes_the_http_stream_before_any_answer(serving):
    async with running(Stub(hangs(before_headers=True))) as stub, serving(backend(stub)) as connect:
        talk = connect()
        await talk.open(history=ASK)
        await talk.send(generate=pb.Generate(generation_id=3))
        await asyncio.wait_for(stub.asked.wait(), LONG)
        talk.cancel()
        await asyncio.wait_for(stub.closed.wait(), LONG)


BROKEN = [
    (refuses(400, "context too long"), "INVALID_ARGUMENT", "context too long"),
    (refuses(401), "UNAVAILABLE", "TRUNKLINE_LLM_API_KEY"),
    (refuses(403), "UNAVAILABLE", "TRUNKLINE_LLM_API_KEY"),
    (refuses(404, "no such model"), "NOT_FOUND", "no such model"),
    (refuses(422, "bad schema"), "INVALID_ARGUMENT", "bad schema"),
    (refuses(429, "slow down"), "RESOURCE_EXHAUSTED", "slow down"),
    (refuses(500, "<html>", plain=True), "UNAVAILABLE", "status 500"),
    (refuses(503, "loading"), "UNAVAILABLE", "loading"),
    (refuses(302, headers={"Location": "/nowhere"}, plain=True), "NOT_FOUND", "TRUNKLINE_LLM_URL"),
    (dies(), "UNAVAILABLE", "broke off"),
    (dies(chunk(content="So ")), "UNAVAILABLE", "broke off"),
    (says(chunk(content="So "), usage=False, done=False), "UNAVAILABLE", "broke off"),
    (says(usage=False), "UNAVAILABLE", "broke off"),
    (says("{not json"), "INTERNAL", "cannot be read"),
    (says("[1, 2]"), "INTERNAL", "stream"),
    (says({"choices": [{"delta": {"content": 5}}]}), "INTERNAL", "malformed"),
    (says({"choices": "many"}), "INTERNAL", "malformed"),
    (says({"error": {"message": "out of memory"}}), "INTERNAL", "out of memory"),
]
SLOW = [
    hangs(before_headers=True),
    hangs(),
    hangs(chunk(role="assistant"), chunk(content="So ")),
    says(*[chunk(content="and ")] * 40, pause=0.05),
]


@pytest.mark.parametrize(("behaviour", "code", "text"), BROKEN)
async def test_what_the_server_does_wrong_has_a_status(serving, behaviour, code, text):
    async with running(Stub(behaviour)) as stub, serving(backend(stub)) as connect:
        talk = connect()
        await talk.open(history=ASK)
        await talk.send(generate=pb.Generate(generation_id=3))
        error = await talk.status()
        assert (error.code().name, text in error.details()) == (code, True), error.details()


@pytest.mark.parametrize("behaviour", SLOW)
async def test_a_server_that_is_too_slow_is_unavailable(serving, behaviour):
    async with (
        running(Stub(behaviour)) as stub,
        serving(backend(stub, first_token_seconds=0.2, total_seconds=0.4)) as connect,
    ):
        talk = connect()
        await talk.open(history=ASK)
        await talk.send(generate=pb.Generate(generation_id=3))
        error = await talk.status()
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "in time" in error.details()


async def test_busy_says_how_long(serving):
    async with running(Stub(refuses(429, headers={"Retry-After": "2.5"}))) as stub, serving(backend(stub)) as connect:
        talk = connect()
        await talk.open(history=ASK)
        await talk.send(generate=pb.Generate(generation_id=3))
        error = await talk.status()
        assert dict(error.trailing_metadata())["retry-after-ms"] == "2500"


def test_retry_after_in_all_its_forms():
    now = 1_800_000_000.0
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now + 20))
    said = [{"retry-after": "3"}, {"retry-after-ms": "70"}, {"retry-after": date}, {"retry-after": "soon"}, {}]
    assert [retry_after(headers, now) for headers in said] == [3, 0.07, 20, 1, 1]
    assert retry_after({"retry-after": "99999"}, now) == 300


async def test_a_server_that_is_gone_is_unavailable(serving):
    async with running(Stub(HELLO)) as stub:
        gone = backend(stub)
        await gone.warm_up()
    async with serving_without_warm_up(serving, gone) as connect:
        talk = connect()
        await talk.open(history=ASK)
        await talk.send(generate=pb.Generate(generation_id=3))
        error = await talk.status()
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "cannot be reached" in error.details()


def serving_without_warm_up(serving, warm):
    async def nothing() -> None: ...

    warm.warm_up = nothing
    return serving(warm)


async def test_warm_up_says_in_one_line_what_is_missing():
    nowhere = OpenAIServer(LlmSettings(backend="openai", url="http://127.0.0.1:9/v1", warm_up_seconds=0.1))
    with pytest.raises(
        Unavailable, match=r"127\.0\.0\.1:9/v1 cannot be reached.*Start the server, or set TRUNKLINE_LLM_URL"
    ):
        await nowhere.warm_up()
    await nowhere.close()
    async with running(Stub(HELLO)) as stub:
        other = backend(stub, model="huge")
        with pytest.raises(NotFound, match=r"TRUNKLINE_LLM_MODEL=huge: .* has only tiny, large"):
            await other.warm_up()
        await other.close()
    async with running(Stub(HELLO, models=401)) as stub:
        keyless = backend(stub)
        with pytest.raises(Unavailable, match="TRUNKLINE_LLM_API_KEY"):
            await keyless.warm_up()
        await keyless.close()


async def test_a_server_without_a_list_needs_the_model_to_be_set():
    async with running(Stub(HELLO, models=404)) as stub:
        nameless, named = backend(stub), backend(stub, model="mine")
        with pytest.raises(NotFound, match="set TRUNKLINE_LLM_MODEL"):
            await nameless.warm_up()
        await named.warm_up()
        assert (named.model, named.resolve("mine")) == ("mine", "mine")
        with pytest.raises(NotFound):
            named.resolve("other")
        await nameless.close()
        await named.close()
