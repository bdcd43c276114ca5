"""Counting what a recogniser made of words: which stretch became which, and how often it was said."""

import json
from pathlib import Path

import pytest

from scripts.hear_callers import bare, errors, lines, table


@pytest.mark.parametrize(
    ("said", "heard", "found"),
    [
        ("I'd like an appointment.", "I'd like an appointment.", []),
        ("I'd like an appointment.", "I'd like in appointment.", [(2, 3, "in")]),
        ("Stella Ferrari.", "Dela Ferrari", [(0, 1, "Dela")]),
        ("It's nine one one.", "It's 9-1-1.", [(1, 4, "9-1-1.")]),
        ("Um, hello there.", "hello there.", [(0, 1, "")]),
        ("Hello there.", "Hello hello there.", [(0, 1, "Hello hello")]),
        ("one two three four five", "six", []),  # too long to be one slip
    ],
)
def test_stretches_that_differ(said: str, heard: str, found: list[tuple[int, int, str]]) -> None:
    assert list(errors(said.split(), heard.split())) == found


def test_the_table_counts_what_was_said_and_what_became_of_it(tmp_path: Path) -> None:
    pairs = [["An apple an", "In apple an"], ["an", "an"], ["lost", ""]]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    made = table(tmp_path / "pairs.jsonl")
    assert made["errors"] == {"an": [3, {"In": 1}]}
    assert (made["words"], made["wrong"]) == (4, 1)


def test_lines_are_the_same_each_time_and_words_bare() -> None:
    assert list(lines(20)) == list(lines(20))
    assert bare("“Okay,") == "okay"
