"""The recogniser's errors: as often as they were counted, in their places, and nothing else changes."""

import random

import pytest

from llm_worker.forge.grammar import Piece, text
from llm_worker.forge.noise import LONGEST, bare, disturb, table
from llm_worker.forge.phrases import sample


def test_the_table_is_of_whole_words_and_possible_counts() -> None:
    slips = table()
    assert len(slips) > 500
    for words, each in slips.items():
        assert 1 <= len(words.split()) <= LONGEST
        assert words == " ".join(bare(word) for word in words.split())
        assert 0 < sum(each.heard.values()) <= each.said


def test_without_strength_nothing_changes() -> None:
    draw = random.Random(0)
    for _ in range(200):
        pieces = sample(draw, "train")
        assert disturb(pieces, draw, 0.0) == (pieces, frozenset())


def test_pieces_keep_their_slots_and_those_that_changed_are_named() -> None:
    draw = random.Random(1)
    for _ in range(300):
        pieces = sample(draw, "train")
        heard, changed = disturb(pieces, draw, 3.0)
        assert [piece.slot for piece in heard] == [piece.slot for piece in pieces]
        assert changed == {n for n, (a, b) in enumerate(zip(pieces, heard, strict=True)) if a.text != b.text}
        assert "  " not in text(heard)


def test_errors_come_as_often_as_they_were_counted() -> None:
    word, slips = max(table().items(), key=lambda entry: entry[1].said if " " not in entry[0] else 0)
    rate = sum(slips.heard.values()) / slips.said
    draw, count = random.Random(2), 4000
    changed = sum(bool(disturb([Piece(word)], draw, 1.0)[1]) for _ in range(count))
    assert changed / count == pytest.approx(rate, abs=4 * (rate / count) ** 0.5)
    doubled = sum(bool(disturb([Piece(word)], draw, 2.0)[1]) for _ in range(count))
    assert doubled / count == pytest.approx(2 * rate, abs=8 * (rate / count) ** 0.5)


def test_the_same_draw_gives_the_same_errors() -> None:
    pieces = [Piece("Hello, my name is "), Piece("Beatriz Nguyen", "name"), Piece(".")]
    first, second = (disturb(pieces, random.Random(5), 5.0) for _ in range(2))
    assert first == second
    assert first[1]
