"""The chat format against its publisher's library, and what the cache relies on: ids that stay when more is said."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

from llm_worker.messages import NO_RESULT, Message, Prompt, Role, Tool, ToolCall
from llm_worker.text.chat import ChatFormat
from llm_worker.text.tokenizer import CONTROLS, Tekken, TokenizerError
from tests.llm_worker.text.support import content, small

SYSTEM, USER, ASSISTANT, TOOL = Role
CHAT = ChatFormat(small())
SLOTS = Tool("find_slots", "Free times of a day.", {"type": "object", "properties": {"day": {"type": "string"}}})
BOOK = Tool("book", "Größe, 東京", {"type": "object", "properties": {}, "required": []})
SETTINGS = '[MODEL_SETTINGS]{"reasoning_effort": "none"}[/MODEL_SETTINGS]'


def shown(ids: Sequence[int]) -> str:
    """Ids as text, control tokens by name."""
    return "".join(CONTROLS[n] if n < small().controls else small().decode([n]).decode("latin-1") for n in ids)


def history(*messages: tuple[Any, ...]) -> tuple[Message, ...]:
    """Messages from (role, text), (assistant, text, calls) or (tool, text, call id), numbered from 1."""
    made = []
    for number, (role, text, *more) in enumerate(messages, 1):
        field = {ASSISTANT: "tool_calls", TOOL: "tool_call_id"}.get(role, "")
        made.append(Message(number, role, text, **({field: more[0]} if more else {})))
    return tuple(made)


def rendered(*messages: tuple[Any, ...], answer: bool = False, **fields: Any) -> str:
    return shown(CHAT.render(Prompt("c", history(*messages), **fields), answer).ids)


TWO_CALLS = (ToolCall("a", "get_weather", '{"city": "Paris"}'), ToolCall("b", "get_weather", '{"city": "Oslo"}'))
ASKED = ((SYSTEM, "S"), (USER, "Weather in Paris and Oslo?"), (ASSISTANT, "", TWO_CALLS))


def test_two_calls_at_once() -> None:
    told = rendered(*ASKED, (TOOL, '{"t": 2}', "b"), (TOOL, '{"t": 20}', "a"), tools=(SLOTS,), answer=True)
    assert told == (
        '<s>[SYSTEM_PROMPT]S[/SYSTEM_PROMPT][AVAILABLE_TOOLS][{"type": "function", "function": {"name": "find_slots", '
        '"description": "Free times of a day.", "parameters": {"type": "object", "properties": {"day": {"type": '
        f'"string"}}}}}}}}}}][/AVAILABLE_TOOLS]{SETTINGS}'
        '[INST]Weather in Paris and Oslo?[/INST][TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}'
        '[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo"}</s>'
        '[TOOL_RESULTS]{"t": 20}[/TOOL_RESULTS][TOOL_RESULTS]{"t": 2}[/TOOL_RESULTS]'
    )


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Prompt, str], list[int]]:
    """How the publisher's library encodes a prompt with our small vocabulary."""
    file: Path = tmp_path_factory.mktemp("small") / "tekken.json"
    file.write_text(json.dumps(content()), "utf-8")
    theirs: Any = MistralTokenizer.from_file(str(file))

    def encode(prompt: Prompt, effort: str) -> list[int]:
        messages = [_openai(message) for message in prompt.messages]
        request = {"messages": messages, "reasoning_effort": effort}
        if prompt.tools:
            functions = [
                {"name": t.name, "description": t.description, "parameters": t.parameters} for t in prompt.tools
            ]
            request["tools"] = [{"type": "function", "function": each} for each in functions]
        ids: list[int] = theirs.encode_chat_completion(ChatCompletionRequest.from_openai(**request)).tokens
        return ids

    return encode


def _openai(message: Message) -> dict[str, Any]:
    made: dict[str, Any] = {"role": message.role.value, "content": message.text}
    if message.tool_calls:
        made["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        made["tool_call_id"] = message.tool_call_id
    return made


WORDS = st.text(st.sampled_from("abé 1.,\n'[]東") | st.characters(), min_size=1, max_size=20)
CONTROLLED = st.sampled_from(list(CONTROLS.values())) | WORDS
ARGUMENTS = st.dictionaries(WORDS, WORDS | st.integers() | st.booleans(), max_size=3)


@st.composite
def conversations(draw: st.DrawFn) -> Prompt:
    """Histories that the publisher's library takes: systems, a caller who speaks first, answers and calls."""
    said: list[tuple[Any, ...]] = [(SYSTEM, text) for text in draw(st.lists(CONTROLLED, max_size=2))]
    calls = 0
    for _ in range(draw(st.integers(0, 3))):
        said += [(USER, text) for text in draw(st.lists(CONTROLLED, min_size=1, max_size=2))]
        said += [(SYSTEM, text) for text in draw(st.lists(CONTROLLED, max_size=1))]
        said += [(ASSISTANT, text) for text in draw(st.lists(CONTROLLED, min_size=1, max_size=2))]
        asked = [ToolCall(f"c{calls + n}", "f", json.dumps(a, ensure_ascii=False)) for n, a in
                 enumerate(draw(st.lists(ARGUMENTS, max_size=2)))]  # fmt: skip
        if asked:
            calls += len(asked)
            said[-1] = (ASSISTANT, draw(st.just("") | CONTROLLED), tuple(asked))
            said += [(TOOL, draw(CONTROLLED), call.id) for call in draw(st.permutations(asked))]
            said.append((ASSISTANT, draw(CONTROLLED)))
    said += [(USER, text) for text in draw(st.lists(CONTROLLED, min_size=1, max_size=2))]
    return Prompt("c", history(*said), draw(st.sampled_from([(), (SLOTS,), (SLOTS, BOOK)])))


@given(prompt=conversations(), effort=st.sampled_from(["none", "high"]))
def test_as_the_publishers_library_renders(
    publisher: Callable[[Prompt, str], list[int]], prompt: Prompt, effort: Any
) -> None:
    assert ChatFormat(small(), effort).render(prompt, answer=True).ids == publisher(prompt, effort)


def test_the_head_stands_before_whoever_speaks_first() -> None:
    head = f"<s>[SYSTEM_PROMPT]S[/SYSTEM_PROMPT]{SETTINGS}"
    assert rendered((SYSTEM, "S")) == head
    assert rendered((SYSTEM, "S"), answer=True) == head
    assert rendered((SYSTEM, "S"), (ASSISTANT, "Hello.")) == f"{head}Hello.</s>"
    assert rendered((SYSTEM, "S"), (ASSISTANT, "Hello."), (USER, "Hi")) == f"{head}Hello.</s>[INST]Hi"
    assert rendered() == f"<s>{SETTINGS}"
    two = rendered((SYSTEM, "S"), (SYSTEM, "T"))
    assert two == f"<s>[SYSTEM_PROMPT]S[/SYSTEM_PROMPT][SYSTEM_PROMPT]T[/SYSTEM_PROMPT]{SETTINGS}"


def test_what_differs_between_calls_stands_behind_what_does_not() -> None:
    one, other = (
        CHAT.render(Prompt("c", history((SYSTEM, "S"), (USER, "Hi")), (SLOTS, BOOK), now=now)).ids
        for now in ("2026-11-26T09:30:00+01:00", "2027-01-03T10:00:00+01:00")
    )
    shared = CHAT.render(Prompt("c", history((SYSTEM, "S")), (SLOTS, BOOK))).ids
    assert one[: len(shared)] == other[: len(shared)] == shared
    assert "2026-11-26" in shown(one[len(shared) :])


def test_open_ends() -> None:
    head = f"<s>{SETTINGS}"
    assert rendered((USER, "Good")) == f"{head}[INST]Good"
    assert rendered((USER, "Good"), (USER, "morning")) == f"{head}[INST]Good\n\nmorning"
    assert rendered((USER, "Good"), answer=True) == f"{head}[INST]Good[/INST]"
    assert rendered((USER, "Good"), (SYSTEM, "T")) == f"{head}[INST]Good[/INST][SYSTEM_PROMPT]T[/SYSTEM_PROMPT]"
    assert rendered((USER, "Good"), (ASSISTANT, "Yes? ")) == f"{head}[INST]Good[/INST]Yes?</s>"
    assert rendered((USER, "Good"), (ASSISTANT, "Yes?"), answer=True) == f"{head}[INST]Good[/INST]Yes?\n\n"
    assert rendered((USER, ""), (ASSISTANT, ""), (USER, "Good")) == f"{head}[INST]Good"


def test_results_that_are_still_to_come() -> None:
    asked = rendered(*ASKED)
    assert asked.endswith('{"city": "Oslo"}</s>')
    assert rendered(*ASKED, (TOOL, '{"t": 2}', "b")) == asked
    first = rendered(*ASKED, (TOOL, '{"t": 20}', "a"))
    assert first == asked + '[TOOL_RESULTS]{"t": 20}[/TOOL_RESULTS]'
    stands_in = f"[TOOL_RESULTS]{NO_RESULT}[/TOOL_RESULTS]"
    assert rendered(*ASKED, (TOOL, '{"t": 20}', "a"), answer=True) == first + stands_in
    assert rendered(*ASKED, (USER, "Hello?")) == asked + stands_in + stands_in + "[INST]Hello?"


def test_generated_ids_are_used_as_they_are() -> None:
    split = (*small().encode("app"), *small().encode("ointment"))
    assert list(split) != small().encode("appointment")
    message = Message(2, ASSISTANT, "appointment", token_ids=split)
    greeting, hello = history((USER, "Hi"), (USER, "Hello?"))
    told = CHAT.render(Prompt("c", (greeting, message, hello)))
    assert tuple(told.ids[told.answers[0].start : told.answers[0].stop]) == (*split, small().eos)
    twice = CHAT.render(Prompt("c", (greeting, message, message)), answer=True)
    blank, eos = tuple(small().encode("\n\n")), small().eos
    assert tuple(twice.ids[-len(split) * 2 - len(blank) * 2 :]) == split + blank + split + blank
    assert eos not in twice.ids


@pytest.mark.parametrize("ids", [(9,), (3, *small().encode("No")), (100_000,), tuple(small().encode("Yes"))])
def test_ids_that_do_not_make_the_text_are_not_used(ids: tuple[int, ...]) -> None:
    asked = Message(1, USER, "?")
    alien = Message(2, ASSISTANT, "No", token_ids=ids)
    assert CHAT.render(Prompt("c", (asked, alien))) == CHAT.render(Prompt("c", (asked, replace(alien, token_ids=()))))


def test_generated_calls_are_used_as_they_are() -> None:
    call, args = small().control("[TOOL_CALLS]"), small().control("[ARGS]")
    name, arguments = [*small().encode("b"), *small().encode("ook")], [*small().encode("{"), *small().encode("}")]
    assert name != small().encode("book")
    ids = (call, *name, args, *arguments)

    def answer(token_ids: tuple[int, ...]) -> tuple[int, ...]:
        calls = (ToolCall("c", "book", "{}", token_ids),)
        told = CHAT.render(Prompt("c", (Message(1, USER, "?"), Message(2, ASSISTANT, tool_calls=calls))))
        return tuple(told.ids[told.answers[0].start : told.answers[0].stop - 1])

    assert answer(ids) == ids
    encoded = (call, *small().encode("book"), args, *small().encode("{}"))
    for alien in ((), ids[1:], ids[:-1], (*ids, args), (call, args), (*ids[:-1], call, ids[-1])):
        assert answer(alien) == encoded


@given(conversations(), st.data())
def test_what_is_settled_stays(prompt: Prompt, data: st.DataObject) -> None:
    """Messages come one by one, the caller's in two pieces. Two answers in a row and system messages at the beginning
    are one block that grows; that is seldom enough."""
    before: list[int] = []
    for count, message in enumerate(prompt.messages):
        earlier = prompt.messages[:count]
        roles = {each.role for each in earlier[-1:]}
        if (message.role is ASSISTANT and ASSISTANT in roles) or not {each.role for each in earlier} - {SYSTEM}:
            before = []
        steps = [(*earlier, message)]
        if message.role is USER:
            piece = replace(message, text=message.text[: data.draw(st.integers(0, len(message.text)))])
            steps.insert(0, (*earlier, piece))
        for messages in steps:
            told = CHAT.render(replace(prompt, messages=messages))
            assert told.ids[: len(before)] == before
            before = told.ids[: told.settled]
    told = CHAT.render(prompt, answer=True)
    assert told.ids[: len(before)] == before
    assert told.settled == len(told.ids)


@given(conversations())
def test_an_answer_goes_on_from_the_ids_that_it_was_asked_with(prompt: Prompt) -> None:
    messages = tuple(_generated(message) if message.role is ASSISTANT else message for message in prompt.messages)
    for count, message in enumerate(messages):
        follows = count and messages[count - 1].role is ASSISTANT
        if message.role is ASSISTANT and (message.text or not follows):
            asked = CHAT.render(replace(prompt, messages=messages[:count]), answer=True).ids
            said = [*message.token_ids, *(number for call in message.tool_calls for number in call.token_ids)]
            now = CHAT.render(replace(prompt, messages=messages[: count + 1])).ids
            assert now == [*asked, *said, small().eos]


def _generated(message: Message) -> Message:
    """The message with ids, one for each byte."""
    call, args = small().control("[TOOL_CALLS]"), small().control("[ARGS]")
    calls = tuple(
        replace(each, token_ids=(call, *_bytes(each.name), args, *_bytes(each.arguments)))
        for each in message.tool_calls
    )
    return replace(message, token_ids=_bytes(message.text), tool_calls=calls)


def _bytes(text: str) -> tuple[int, ...]:
    return tuple(small().controls + value for value in text.encode())


def test_nearly_everything_is_settled() -> None:
    def rest(*messages: tuple[Any, ...], **fields: Any) -> str:
        told = CHAT.render(Prompt("c", history(*messages), **fields))
        return shown(told.ids[told.settled :])

    assert rest((USER, "I would like to book an appointment")) == " appointment"
    assert rest((USER, "Hi"), (ASSISTANT, "Good morning.")) == ""
    assert rest(*ASKED) == ""
    assert rest(*ASKED, (TOOL, "{}", "a"), (TOOL, "{}", "b")) == ""
    late = rest(*ASKED, (TOOL, "{}", "a"), (USER, "Hello there"))
    assert late == f"[TOOL_RESULTS]{NO_RESULT}[/TOOL_RESULTS][INST]Hello there"
    assert rest((SYSTEM, "You answer"), tools=(SLOTS,)) == ""


@st.composite
def any_histories(draw: st.DrawFn) -> tuple[Message, ...]:
    """Whatever a conversation can come to: results late, missing and in any order, notes anywhere, answers unheard."""
    messages: list[Message] = []
    waiting: list[str] = []
    for number in range(1, draw(st.integers(0, 12)) + 1):
        role = draw(st.sampled_from([SYSTEM, USER, USER, ASSISTANT, ASSISTANT, *([TOOL] * bool(waiting))]))
        text = draw(st.just("") | CONTROLLED)
        calls: tuple[ToolCall, ...] = ()
        answers = ""
        if role is ASSISTANT:
            calls = tuple(ToolCall(f"{number}-{n}", "f", "{}") for n in range(draw(st.integers(0, 2))))
            waiting += [call.id for call in calls]
        elif role is TOOL:
            answers, text = waiting.pop(draw(st.integers(0, len(waiting) - 1))), "{}"
        messages.append(Message(number, role, text, tool_calls=calls, tool_call_id=answers))
    return tuple(messages)


# A letter for each control token, the same as a capital for its end.
SIGNS = dict(zip(CONTROLS.values(), "_beiItTrRc_______sS_a___mM", strict=True))
HEAD = r"b (s.+S)* (t.+T)? m.+M s.+S"
BLOCKS = r"( s.+S | i.+I | .* (c.+a.+)* e (r.+R)* )*"


@given(any_histories(), st.booleans(), st.booleans())
def test_any_history_has_a_form(messages: tuple[Message, ...], answer: bool, with_tools: bool) -> None:
    told = CHAT.render(Prompt("c", messages, (SLOTS,) * with_tools, now="2026-11-26T10:00:00"), answer)
    form = "".join(SIGNS[CONTROLS[number]] if number < small().controls else "." for number in told.ids)
    pattern = HEAD + BLOCKS + ("(.+)?" if answer else "(i.+)?")
    assert re.fullmatch(pattern.replace(".", r"\."), form, re.VERBOSE)
    for calls, results in re.findall(r"((?:c\.+a\.+)*)e((?:r\.+R)*)", form):
        assert results.count("r") <= calls.count("c")
        assert results.count("r") == calls.count("c") or (form.endswith(results) and not answer)
    assert 0 < told.settled <= len(told.ids)


def test_answers_are_what_training_teaches() -> None:
    told = CHAT.render(Prompt("c", history(*ASKED, (TOOL, "{}", "a"), (TOOL, "{}", "b"), (ASSISTANT, "Cold."))))
    assert [shown(told.ids[part.start : part.stop]) for part in told.answers] == [
        '[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo"}</s>',
        "Cold.</s>",
    ]


def test_a_vocabulary_without_the_formats_tokens_is_refused() -> None:
    tokens = [token for token in content()["special_tokens"] if token["token_str"] != "[/INST]"]
    with pytest.raises(TokenizerError, match=r"\[/INST\]"):
        ChatFormat(Tekken(content() | {"special_tokens": tokens}))
