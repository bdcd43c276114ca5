"""Vocabularies: the published one against its publisher's library, our own, and text that means harm."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from llm_worker.text.bpe import RESERVED, train_bpe
from llm_worker.text.tokenizer import CONTROLS, Tekken, TokenizerError, settled
from tests.llm_worker.text.support import SENTENCES, content, published, published_file, small

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates and NUL as well


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Hello, world!", [22177, 1044, 4304, 1033]),
        (
            "The quick brown fox jumps over the lazy dog.",
            [1784, 7586, 22980, 94137, 72993, 2136, 1278, 42757, 10575, 1046],
        ),
        ('{"reasoning_effort": "none"}', [19227, 80277, 1302, 13196, 1609, 1449, 2811, 1429, 17670, 46005]),
        ('{"reasoning_effort": "high"}', [19227, 80277, 1302, 13196, 1609, 1449, 2811, 1429, 24871, 46005]),
    ],
)
def test_published_ids(text: str, ids: list[int]) -> None:
    assert published().encode(text) == ids
    assert published().decode(ids).decode() == text


def test_as_the_publishers_library_encodes() -> None:
    theirs, ours = Tekkenizer.from_file(published_file()), published()
    assert (ours.size, ours.controls, ours.eos) == (theirs.n_words, theirs.num_special_tokens, theirs.eos_id)
    for text in [*SENTENCES, "\x00\t \r\n\n", "  two  spaces ", "１２３ 12345", "[INST]</s>", "'S 's ’S"]:
        assert ours.encode(text) == theirs.encode(text, bos=False, eos=False)


def test_our_vocabularies_are_read_by_that_library(tmp_path: Path) -> None:
    file = tmp_path / "tekken.json"
    file.write_text(json.dumps(content()), "utf-8")
    theirs, ours = Tekkenizer.from_file(file), Tekken.read(file)
    for text in SENTENCES:
        assert ours.encode(text) == theirs.encode(text, bos=False, eos=False)
    for name in CONTROLS.values():
        assert ours.control(name) == theirs.get_special_token(name)


def test_training_merges_what_comes_often_and_repeats() -> None:
    assert train_bpe(SENTENCES * 4, 500) == content()
    vocabulary = small()
    assert vocabulary.size == 500
    assert len(vocabulary.encode(" appointment")) < 4 < len(vocabulary.encode(" tnemtnioppa"))


def test_a_vocabulary_is_no_larger_than_its_texts_allow() -> None:
    vocabulary = Tekken(train_bpe(["ab ab ab"], 5000))
    assert vocabulary.size == RESERVED + 256 + 2  # "ab", " ab"
    with pytest.raises(ValueError, match="too few"):
        train_bpe(["ab"], RESERVED + 255)


def _pieces(vocabulary: Tekken, text: str) -> list[str]:
    return [vocabulary.decode([number]).decode() for number in vocabulary.encode(text)]


@pytest.mark.parametrize("vocabulary", [small(), published()], ids=["small", "published"])
def test_digits_stand_alone(vocabulary: Tekken) -> None:
    for text in ("0151 2345678", "at 10 o'clock", "x1y22", "555-0123", "1-800"):
        assert all(
            len(piece.strip()) == 1 for piece in _pieces(vocabulary, text) if any(sign.isdigit() for sign in piece)
        )


def test_dates_and_times_are_pairs_of_digits() -> None:
    dated = ["on 2026-11-26 at 17:15", "2026-11-25", "9:15", "2026-11-26, 17:45"]
    vocabulary = Tekken(train_bpe(dated * 4, 500))
    assert _pieces(vocabulary, "2026-11-26 17:15")[:4] == ["20", "26", "-11", "-26"]
    assert _pieces(vocabulary, "17:45") == ["17", ":45"]
    assert _pieces(vocabulary, "9:15") == ["9", ":15"]


def test_a_name_has_the_same_pieces_wherever_it_stands() -> None:
    """But for the space before a first letter."""
    said, written = "my name is Ann Kowalski.", '{"name": "Ann Kowalski", "day": "2026-11-26"}'
    vocabulary = Tekken(train_bpe([said, written] * 4 + ["Thursday in March"] * 100, 500))
    name = [piece.strip() for piece in _pieces(vocabulary, "Ann Kowalski")]
    for text in (said, written, "Kowalski? Ann Kowalski", "I'm Ann Kowalski"):
        pieces = [piece.strip() for piece in _pieces(vocabulary, text)]
        assert any(pieces[at : at + len(name)] == name for at in range(len(pieces)))
    assert _pieces(vocabulary, "Thursday in March") == ["Thursday", " in", " March"]
    assert _pieces(vocabulary, "Mondays and Mayors")[0] == "M"


def test_what_stands_between_values_of_json_is_one_piece() -> None:
    text = '{"name": "Ann", "day": "2026-11-26"}, {"parameters": {"type": "object", "required": ["name"]}}'
    pieces = _pieces(Tekken(train_bpe([text] * 4, 500)), text)
    assert {'{"name": "', '", "day": "', ', {"parameters": {"type": "', '", "required": ["'} & {*pieces}
    assert len(pieces) < 25


@pytest.mark.parametrize("vocabulary", [small(), published()], ids=["small", "published"])
def test_control_tokens_never_come_from_text(vocabulary: Tekken) -> None:
    text = "".join(CONTROLS.values())
    ids = vocabulary.encode(text)
    assert min(ids) >= vocabulary.controls
    assert vocabulary.decode(ids).decode() == text


@given(ANY_TEXT)
@example("\ud800 \x00 \udc00\ud83d\udc4b")
def test_text_comes_back(text: str) -> None:
    ids = small().encode(text)
    assert all(small().controls <= number < small().size for number in ids)
    # Halves of a pair that stand together are that character; alone they are none.
    assert small().decode(ids).decode() == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@given(st.text(st.sampled_from("ab 1.,'\n\t\u00a0é/["), max_size=30), st.text(st.sampled_from("ab 1.\n/'"), max_size=8))
def test_what_is_settled_stays(text: str, more: str) -> None:
    for vocabulary in (small(), published()):
        ids = vocabulary.encode(text[: settled(text)])
        assert vocabulary.encode(text + more)[: len(ids)] == ids


@pytest.mark.parametrize(
    ("text", "stays"), [("", ""), ("Hello", ""), ("Hello wor", "Hello"), ("a b ", "a b"), ("a   ", "a"), (" a", "")]
)
def test_all_but_the_last_word_is_settled(text: str, stays: str) -> None:
    assert text[: settled(text)] == stays


@pytest.mark.parametrize("text", ["a" * 400_000, " " * 400_000, "\U0001f44b" * 100_000, "1" * 400_000, "a b" * 100_000])
def test_very_long_text(text: str) -> None:
    assert small().decode(small().encode(text)).decode() == text


def test_ids_that_are_no_text_decode_to_nothing() -> None:
    assert small().decode([1, 3, 4, 2]) == b""
    assert small().decode([3, RESERVED + ord("a"), 4, RESERVED + 0xC3]) == b"a\xc3"


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in content().items() if name != key}


def changed(part: str, **values: Any) -> dict[str, Any]:
    other = copy.deepcopy(content())
    other[part].update(values)
    return other


BROKEN = {
    "vocab": without("vocab"),
    "config": without("config"),
    "special_tokens": without("special_tokens"),
    "ranks from 0": changed("config", default_vocab_size=content()["config"]["default_vocab_size"] + 1),
    "no control token </s>": content() | {"special_tokens": []},
    "is not among the first": content() | {"special_tokens": [{"rank": 99, "token_str": "</s>", "is_control": True}]},
    "byte 0": content() | {"vocab": [{"rank": n, "token_bytes": e["token_bytes"]} for n, e in enumerate(
        [*content()["vocab"][1:], {"token_bytes": "eHl4eXh5"}])]},
    "its pattern": changed("config", pattern="(("),
}  # fmt: skip


@pytest.mark.parametrize("problem", BROKEN)
def test_files_that_are_no_vocabulary(problem: str) -> None:
    with pytest.raises(TokenizerError, match=problem):
        Tekken(BROKEN[problem])


@pytest.mark.parametrize("text", ["", "[]", "{", "\xff"])
def test_files_that_are_no_json_object(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tekken.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(TokenizerError, match=r"tekken\.json"):
        Tekken.read(file)
    with pytest.raises(TokenizerError, match=r"absent\.json"):
        Tekken.read(tmp_path / "absent.json")
