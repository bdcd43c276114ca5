"""What a model says: whole characters, stop strings, calls, thoughts, and ids that make exactly the text."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_worker.backends import Call, Delta, Reason
from llm_worker.text.reading import Reader
from llm_worker.text.tokenizer import CONTROLS
from tests.llm_worker.text.support import small

NAMED = {name: number for number, name in CONTROLS.items()}
CALL, ARGS, EOS, THINK, THOUGHT = (NAMED[n] for n in ("[TOOL_CALLS]", "[ARGS]", "</s>", "[THINK]", "[/THINK]"))


def by_bytes(text: str | bytes) -> list[int]:
    """A token for each byte."""
    return [small().controls + value for value in (text.encode() if isinstance(text, str) else text)]


def read(ids: Sequence[int], stops: Sequence[str] = (), close: bool = False) -> tuple[list[Delta | Call], Reader]:
    reader = Reader(small(), stops)
    steps = [step for number in ids for step in reader.read(number)]
    return steps + (reader.close() if close else []), reader


def spoken(steps: Sequence[Delta | Call]) -> str:
    return "".join(step.text for step in steps if isinstance(step, Delta))


def ids_of(steps: Sequence[Delta | Call]) -> list[int]:
    return [number for step in steps if isinstance(step, Delta) for number in step.token_ids]


def test_text_comes_with_its_ids_token_by_token() -> None:
    ids = small().encode("Good morning.")
    steps, reader = read([*ids, EOS])
    assert [(step.text, step.token_ids) for step in steps if isinstance(step, Delta)] == [
        (small().decode([number]).decode(), (number,)) for number in ids
    ]
    assert reader.ended is Reason.END


def test_characters_are_never_split() -> None:
    steps, _ = read(by_bytes("aé👋🏽b"))
    assert [step.text for step in steps if isinstance(step, Delta)] == ["a", "é", "👋", "🏽", "b"]
    assert ids_of(steps) == by_bytes("aé👋🏽b")


def test_half_a_character_at_the_end_is_left_out() -> None:
    for end in ([EOS], []):
        steps, _ = read([*by_bytes(b"a\xf0\x9f"), *end], close=True)
        assert (spoken(steps), ids_of(steps)) == ("a", by_bytes("a"))


def test_bytes_that_are_no_text_do_not_stop_the_answer() -> None:
    steps, _ = read([*by_bytes(b"\xffa\xc3(\xed\xa0\x80"), EOS])
    assert spoken(steps) == "\ufffda\ufffd(\ufffd\ufffd\ufffd"


def test_a_stop_string_ends_the_answer_before_it() -> None:
    steps, reader = read(by_bytes("one END two"), ["END"])
    assert (spoken(steps), ids_of(steps), reader.ended) == ("one ", by_bytes("one "), Reason.END)
    assert reader.read(by_bytes("x")[0]) == reader.close() == []


def test_what_could_begin_a_stop_string_is_held_back() -> None:
    reader = Reader(small(), ["abc", "bd"])
    got = ["".join(spoken([step]) for step in reader.read(number)) for number in by_bytes("xababe")]
    assert got == ["x", "", "", "ab", "", "abe"]
    assert reader.ended is None
    assert spoken(reader.read(by_bytes("a")[0]) + reader.close()) == "a"


def test_a_stop_string_within_a_token_leaves_text_without_ids() -> None:
    ids = small().encode(" appointment")
    assert len(ids) < 3
    steps, reader = read(ids, ["oint"])
    assert spoken(steps) == " app"
    assert small().decode(ids_of(steps)).decode() != " app"
    assert (reader.ended, reader.close()) == (Reason.END, [])


def test_a_stop_string_that_only_the_end_completes_is_text() -> None:
    steps, _ = read([*by_bytes("over EN"), EOS], ["END"])
    assert spoken(steps) == "over EN"


def test_calls_are_read_by_id_and_nothing_of_them_is_spoken() -> None:
    one = [CALL, *small().encode("find_slots"), ARGS, *small().encode('{"day": "2026-11-26"}')]
    two = [CALL, *small().encode("end_call"), ARGS, *small().encode("{}")]
    steps, reader = read([*small().encode("Just a moment."), *one, *two, EOS])
    assert spoken(steps) == "Just a moment."
    calls = [step for step in steps if isinstance(step, Call)]
    assert calls == [
        Call("find_slots", '{"day": "2026-11-26"}', tuple(one)),
        Call("end_call", "{}", tuple(two)),
    ]
    assert reader.ended is Reason.TOOL_CALLS


def test_what_is_held_back_comes_before_a_call() -> None:
    call = [CALL, *by_bytes("book"), ARGS, *by_bytes("{}")]
    steps, _ = read([*by_bytes(b"so EN\xf0"), *call, *call, EOS], ["END"])
    assert [step.text if isinstance(step, Delta) else step.name for step in steps] == [*"so ", "EN", "book", "book"]


def test_a_call_is_given_out_when_it_is_whole() -> None:
    reader = Reader(small())
    first = [CALL, *small().encode("a"), ARGS, *small().encode("{}")]
    assert [step for number in first for step in reader.read(number)] == []
    assert reader.read(CALL) == [Call("a", "{}", tuple(first))]
    assert reader.close() == []


@pytest.mark.parametrize(
    "ids",
    [
        [CALL],
        [CALL, *by_bytes("book")],
        [CALL, *by_bytes("book"), ARGS],
        [CALL, *by_bytes("book"), ARGS, *by_bytes('{"day"')],
        [CALL, *by_bytes("book"), ARGS, *by_bytes("[]")],
        [CALL, *by_bytes(b"\xff"), ARGS, *by_bytes("{}")],
        [CALL, *by_bytes("book"), ARGS, *by_bytes('{"a":' * 20_000)],
    ],
)
def test_what_is_no_call_is_left_out(ids: list[int]) -> None:
    steps, reader = read([*ids, EOS])
    assert (steps, reader.ended) == ([], Reason.END)


def test_thoughts_and_stray_control_tokens_are_for_nobody() -> None:
    thought = [THINK, *by_bytes("What, "), CALL, *by_bytes("and END"), THOUGHT]
    stray = [ARGS, NAMED["[INST]"], NAMED["<s>"], THOUGHT]
    steps, reader = read([*thought, *by_bytes("Yes"), *stray, *by_bytes("."), EOS], ["END"])
    assert (spoken(steps), ids_of(steps), reader.ended) == ("Yes.", by_bytes("Yes."), Reason.END)


def test_a_spelling_of_a_control_token_is_text() -> None:
    text = "".join(CONTROLS.values())
    steps, reader = read([*small().encode(text), EOS])
    assert (spoken(steps), reader.ended) == (text, Reason.END)


PIECES = st.sampled_from([*by_bytes("abn \xe9\u6771"), *small().encode(" appointment and"), CALL, ARGS, THINK, THOUGHT])


@given(st.lists(PIECES, max_size=30), st.lists(st.text("abn ", min_size=1, max_size=4), max_size=3))
def test_pieces_have_their_ids_text_and_no_stop_string(ids: list[int], stops: list[str]) -> None:
    steps, reader = read([*ids, EOS], stops)
    for step in steps:
        if isinstance(step, Delta) and step.token_ids:
            assert small().decode(step.token_ids).decode("utf-8", "replace") == step.text
    parts = "".join(step.text if isinstance(step, Delta) else "\0" for step in steps).split("\0")
    assert not any(stop in part for stop in stops for part in parts)
    assert reader.ended is not None
    outside = [number for number in ids if number >= small().controls]
    if not set(ids) & {CALL, THINK} and not stops:
        whole = small().decode(outside).decode("utf-8", "ignore")
        assert spoken(steps).replace("\ufffd", "") == whole
