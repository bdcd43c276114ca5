"""Phrases are slices of the text, cut where speech can pause."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.phrases import Phraser


def phrases(text: str, step: int = 3) -> list[str]:
    phraser = Phraser()
    found = [p for i in range(0, len(text), step) for p in phraser.feed(text[i : i + step])]
    found += phraser.flush()
    return [p.text for p in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes. We are open.", ["Yes.", "We are open."]),
        ("Dr. Miller is in. Do you want him?", ["Dr. Miller is in.", "Do you want him?"]),
        ("It costs $4.50 or so.", ["It costs $4.50 or so."]),
        ("We open at 8 a.m. on weekdays. Bye!", ["We open at 8 a.m. on weekdays.", "Bye!"]),
        ("We close at 5 p.m. We open again at 8.", ["We close at 5 p.m.", "We open again at 8."]),
        ("J. Smith called you. Twice.", ["J. Smith called you.", "Twice."]),
        ("Let me look at the calendar, one moment. Here it is, found.", [
            "Let me look at the calendar,", "one moment.", "Here it is, found.",
        ]),
        ("Well, yes.", ["Well, yes."]),
        ('He said "no." Then he left.', ['He said "no."', "Then he left."]),
        ("   ", []),
        ("", []),
    ],
)  # fmt: skip
def test_cuts_where_people_pause(text: str, expected: list[str]) -> None:
    assert phrases(text) == expected


def test_the_first_phrase_is_there_as_soon_as_its_sentence_is_known_to_have_ended() -> None:
    phraser = Phraser()
    assert phraser.feed("Sure.") == []
    assert [p.text for p in phraser.feed(" I")] == ["Sure."]


def test_a_sentence_without_an_end_is_cut_between_words() -> None:
    parts = phrases("word " * 200)
    assert all(len(part) <= 240 for part in parts)
    assert " ".join(parts) == ("word " * 200).strip()


@given(st.text(alphabet="ab ,.!?\n…é😀1", max_size=400), st.integers(1, 50))
def test_every_phrase_is_its_slice_and_nothing_but_space_is_lost(text: str, step: int) -> None:
    phraser = Phraser(longest=40)
    found = [p for i in range(0, len(text), step) for p in phraser.feed(text[i : i + step])]
    found += phraser.flush()
    end = 0
    for phrase in found:
        assert phrase.text == text[phrase.start : phrase.end]
        assert not text[end : phrase.start].strip()
        end = phrase.end
    assert not text[end:].strip()
