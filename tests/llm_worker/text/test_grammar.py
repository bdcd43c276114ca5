"""What grammars allow: arguments that fit their schema, calls when they may and must be, and speech that is speech."""

import json
import random
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from llm_worker.backends import Call, Delta, Reason
from llm_worker.messages import Tool, ToolChoice
from llm_worker.text.bpe import train_bpe
from llm_worker.text.grammar import MOST_CALLS, Grammar, Grammars
from llm_worker.text.reading import Reader
from llm_worker.text.tokenizer import CONTROLS, Tekken
from services.errors import InvalidRequest
from tests.llm_worker.text.support import SENTENCES, published, small

NAMED = {name: number for number, name in CONTROLS.items()}
CALL, ARGS, EOS, THINK, THOUGHT = (NAMED[n] for n in ("[TOOL_CALLS]", "[ARGS]", "</s>", "[THINK]", "[/THINK]"))
TEXT = {"type": "string"}
BOOK = Tool(
    "book",
    "",
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 12},
            "day": {"type": "string", "pattern": r"^2026-\d\d-\d\d$"},
            "who": {"enum": ["child", "adult"]},
            "party": {"type": "integer", "minimum": 1, "maximum": 12},
        },
        "required": ["name", "day"],
    },
)
END = Tool("end_call", "", {"type": "object", "properties": {}})
TOOLS = (BOOK, END)
GRAMMARS = Grammars(small())


def allowed(grammar: Grammar, size: int = 0) -> set[int]:
    """The ids that may come."""
    bits = np.unpackbits(grammar.mask().view(np.uint8), bitorder="little")
    assert not bits[size or small().size :].any()
    return {int(number) for number in np.flatnonzero(bits)}


def takes(grammar: Grammar, ids: list[int]) -> bool:
    """Whether each of the ids may come in its turn."""
    for number in ids:
        if number not in allowed(grammar):
            return False
        grammar.advance(number)
    return True


def writes(grammar: Grammar, text: str) -> bool:
    """Whether the text may come, in whatever tokens: what has to come may only come in the vocabulary's own."""
    rest = text.encode()
    while rest:
        fitting = [
            number for number in allowed(grammar) if (said := small().decode([number])) and rest.startswith(said)
        ]
        if not fitting:
            return False
        longest = max(fitting, key=lambda number: len(small().decode([number])))
        grammar.advance(longest)
        rest = rest[len(small().decode([longest])) :]
    return True


def calls(grammar: Grammar, name: str, arguments: str) -> bool:
    """Whether the tool may be called with these arguments."""
    opened = takes(grammar, [CALL]) and writes(grammar, name) and takes(grammar, [ARGS])
    return opened and writes(grammar, arguments)


def called(name: str, arguments: str) -> list[int]:
    return [CALL, *small().encode(name), ARGS, *small().encode(arguments)]


def wander(grammar: Grammar, seed: int, tokenizer: Tekken) -> list[int]:
    """An answer drawn blindly from what is allowed, in favour of what ends strings and answers."""
    rng, ids = random.Random(seed), []
    ending = {EOS, *(tokenizer.controls + ord(sign) for sign in '"}')}
    while not grammar.finished and len(ids) < 600:
        options = allowed(grammar, tokenizer.size)
        assert options, "an answer that cannot go on"
        pool = sorted(options & ending) if options & ending and rng.random() < 0.4 else sorted(options)
        ids.append(rng.choice(pool))
        grammar.advance(ids[-1])
    return ids


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_drawn_is_calls_that_fit_their_schema(seed: int) -> None:
    ids = wander(GRAMMARS.grammar(TOOLS, ToolChoice.REQUIRED), seed, small())
    assert ids[0] == CALL
    reader = Reader(small())
    steps = [step for number in ids for step in reader.read(number)]
    if ids[-1] == EOS:
        assert reader.ended is Reason.TOOL_CALLS
        assert len(steps) == ids.count(CALL)
    for call in steps:
        assert isinstance(call, Call)
        tool = {tool.name: tool for tool in TOOLS}[call.name]
        arguments = json.loads(call.arguments)
        Draft202012Validator(dict(tool.parameters)).validate(arguments)
        assert arguments.keys() <= tool.parameters["properties"].keys()


@pytest.mark.parametrize("choice", list(ToolChoice))
def test_tools_are_called_when_they_may_and_must(choice: ToolChoice) -> None:
    first = allowed(GRAMMARS.grammar(TOOLS, choice))
    assert (CALL in first) is (choice is not ToolChoice.NONE)
    assert (first == {CALL}) is (choice is ToolChoice.REQUIRED)
    assert EOS not in first


def test_text_can_come_before_calls_and_nothing_but_calls_after() -> None:
    grammar = GRAMMARS.grammar(TOOLS)
    assert takes(grammar, [*small().encode("One moment."), *called("end_call", "{}")])
    assert allowed(grammar) == {CALL, EOS}
    assert calls(grammar, "book", '{"name": "Ann", "day": "2026-11-26", "party": 12}')
    assert takes(grammar, [EOS])
    assert grammar.finished
    assert allowed(grammar) == set()


def test_calls_at_once_are_limited() -> None:
    grammar = GRAMMARS.grammar(TOOLS)
    assert takes(grammar, called("end_call", "{}") * MOST_CALLS)
    assert allowed(grammar) == {EOS}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("find_slots", "{}"),
        ("book", '{"day": "2026-11-26", "name": "Ann"}'),  # in the order of the schema
        ("book", '{"name": "Ann", "day": "2025-11-26"}'),
        ("book", '{"name": "Ann"}'),
        ("book", '{"name": "Ann", "day": "2026-11-26", "party": 13}'),
        ("book", '{"name": "Ann", "day": "2026-11-26", "who": "dog"}'),
        ("book", '{"name": "Ann", "day": "2026-11-26", "extra": 1}'),
        ("book", '{"name": "Ann","day": "2026-11-26"}'),
        ("book", '{"name": "Ann Kowalski-Jones", "day": "2026-11-26"}'),
        ("end_call", '{"why": 1}'),
        ("end_call", ""),
    ],
)
def test_calls_that_cannot_be_written(name: str, arguments: str) -> None:
    assert not takes(GRAMMARS.grammar(TOOLS), [*called(name, arguments), EOS])


def test_speech_has_no_control_tokens_and_no_control_characters() -> None:
    grammar = GRAMMARS.grammar(())
    for _ in range(2):
        assert {number for number in allowed(grammar) if number < small().controls} <= {EOS}
        for value in range(256):
            byte = small().controls + value
            speakable = (value >= 0x20 and value != 0x7F) or chr(value) in "\t\n\r"
            assert (byte in allowed(grammar)) is speakable
        grammar.advance(small().controls + ord("a"))
    assert EOS in allowed(grammar)


def test_thoughts_come_first_if_at_all() -> None:
    thinking = Grammars(small(), thinks=True)
    grammar = thinking.grammar(TOOLS)
    assert takes(grammar, [THINK, *small().encode("Hm."), THOUGHT])
    assert THINK not in allowed(grammar)
    assert takes(grammar, [*small().encode("Yes."), EOS])
    assert not takes(thinking.grammar(TOOLS), [THINK, CALL])
    assert allowed(thinking.grammar(TOOLS, ToolChoice.REQUIRED)) == {THINK, CALL}
    assert THINK not in allowed(GRAMMARS.grammar(TOOLS))


@pytest.mark.parametrize("ids", [[EOS], [ARGS], [CALL, ARGS], [-1], [10**6], [CALL, *small().encode("book"), EOS]])
def test_an_id_that_the_mask_excludes_is_an_error(ids: list[int]) -> None:
    grammar = GRAMMARS.grammar(TOOLS)
    assert takes(grammar, ids[:-1])
    with pytest.raises(ValueError, match="cannot come here"):
        grammar.advance(ids[-1])


def test_grammars_of_one_set_of_tools_do_not_share_their_state() -> None:
    one, other = GRAMMARS.grammar(TOOLS), GRAMMARS.grammar(TOOLS)
    assert takes(one, called("end_call", "{}"))
    assert takes(other, called("book", '{"name": "'))
    assert allowed(one) == {CALL, EOS}


def test_the_published_vocabulary() -> None:
    grammars = Grammars(published())
    for seed in range(3):
        ids = wander(grammars.grammar((END,), ToolChoice.REQUIRED), seed, published())
        assert published().decode(ids).decode() == "end_call{}" * ids.count(CALL)
    assert len(grammars.grammar(()).mask()) == 131_072 // 32


def parameters(**schema: Any) -> Tool:
    return Tool("t", "", {"type": "object", **schema})


ARGUMENT = {
    "look-around": {"a": {"type": "string", "pattern": "(?=x)y"}},
    "unclosed group": {"a": {"type": "string", "pattern": "(("}},
    "does not exist": {"a": {"$ref": "#/$defs/none"}},
    "retrieving it failed": {"a": {"$ref": "http://example.com/schema"}},
    "hex escape": {"a": {"const": "\ud800"}},
}


@pytest.mark.parametrize("problem", ARGUMENT)
def test_schemas_that_no_grammar_can_be_made_of(problem: str) -> None:
    broken = parameters(properties=ARGUMENT[problem])
    with pytest.raises(InvalidRequest, match=problem) as refusal:
        GRAMMARS.check((END, broken))
    assert refusal.value.field == "open.tools[1].parameters_json"
    with pytest.raises(InvalidRequest):
        GRAMMARS.grammar((END, broken))


def test_arguments_that_nothing_fits_are_refused() -> None:
    impossible = {"type": "integer", "minimum": 5, "maximum": 3}
    with pytest.raises(InvalidRequest, match="nsatisfiable"):
        GRAMMARS.check((parameters(properties={"a": impossible}, required=["a"]),))


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"type": "string", "minLength": 10**8}}, "required": ["a"]},
        {"properties": {"a": {"type": "string", "pattern": "(a{1,1000}){1,1000}"}}, "required": ["a"]},
        {"properties": {"a": {"type": "string", "pattern": "(.*a){40}" }}, "required": ["a"]},
        {"properties": {"a": {"type": "array", "minItems": 10**7}}, "required": ["a"]},
        {"properties": {f"p{n}": TEXT for n in range(1000)}},
        {"properties": {"a": {"enum": [f"v{n}" for n in range(5000)]}}, "required": ["a"]},
        {"$defs": {"d": {"type": "object", "properties": {"d": {"$ref": "#/$defs/d"}}}},
         "properties": {"a": {"$ref": "#/$defs/d"}}},
    ],
)  # fmt: skip
def test_schemas_that_are_much_work_end_in_an_answer_or_a_refusal(schema: dict[str, Any]) -> None:
    refused: list[str] = []
    try:
        ids = wander(GRAMMARS.grammar((parameters(**schema),), ToolChoice.REQUIRED), 1, small())
    except InvalidRequest as refusal:
        refused.append(refusal.field)
        ids = []
    assert bool(ids) is not bool(refused)
    assert set(refused) <= {"open.tools", "open.tools[0].parameters_json"}


def test_what_is_too_much_work_at_once_is_refused_before_any_answer() -> None:
    with pytest.raises(InvalidRequest, match="items"):
        GRAMMARS.check((END, parameters(properties={f"p{n}": TEXT for n in range(1000)})))


def test_what_is_too_much_work_later_is_a_refusal_too() -> None:
    inner = {"type": "object", "properties": {f"p{n}": TEXT for n in range(1000)}}
    grammar = GRAMMARS.grammar((parameters(properties={"a": inner}, required=["a"]),))
    for _ in range(2):
        with pytest.raises(InvalidRequest, match="too much work"):
            takes(grammar, called("t", '{"a": {"p0": "x"}}'))


def test_what_grammars_cannot_hold_is_left_to_others() -> None:
    tool = parameters(properties={"a": {"not": TEXT}}, required=["a"])
    assert takes(GRAMMARS.grammar((tool,)), [*called("t", '{"a": 1}'), EOS])


def test_combined_schemas_stay_open() -> None:
    tool = parameters(properties={"a": True}, anyOf=[{"properties": {"b": TEXT}, "required": ["b"]}])
    assert calls(GRAMMARS.grammar((tool,)), "t", '{"b": "x"}')
    plain = parameters(properties={"a": True})
    assert takes(GRAMMARS.grammar((plain,)), [*called("t", '{"a": []}'), EOS])
    assert not takes(GRAMMARS.grammar((plain,)), [*called("t", '{"b": "x"}'), EOS])


def test_an_answer_through_grammar_and_reader() -> None:
    reader = Reader(small())
    ids = wander(GRAMMARS.grammar(()), 7, small())
    steps = [step for number in ids for step in reader.read(number)] + reader.close()
    assert steps
    assert all(isinstance(step, Delta) for step in steps)


@pytest.mark.parametrize("size", [415, 416, 417])
def test_masks_have_a_bit_per_id_also_where_ids_fill_all_words(size: int) -> None:
    grammar = Grammars(Tekken(train_bpe(SENTENCES * 4, size))).grammar(TOOLS, ToolChoice.REQUIRED)
    widths = {len(grammar.mask())}
    for _ in range(3):
        grammar.advance(min(allowed(grammar, size)))
        widths.add(len(grammar.mask()))
    assert widths == {-(-size // 32)}
