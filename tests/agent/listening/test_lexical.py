"""The words' verdict on finished and unfinished turns, and what counts as a backchannel."""

import tomllib
from pathlib import Path

import pytest

from agent.listening.lexical import Expecting, Verdict, digits_in, is_backchannel, verdict

TURNS = tomllib.loads((Path(__file__).parent / "data" / "turns.toml").read_text("utf-8"))


@pytest.mark.parametrize("text", TURNS["development"]["complete"])
def test_finished_turns_are_not_held_open(text: str) -> None:
    assert verdict(text) is not Verdict.INCOMPLETE


@pytest.mark.parametrize("text", TURNS["development"]["incomplete"])
def test_unfinished_turns_are_held_open(text: str) -> None:
    assert verdict(text) is Verdict.INCOMPLETE


def test_sentences_that_were_not_tuned_on() -> None:
    """The promise that the documentation makes; single sentences may be wrong."""
    complete, incomplete = TURNS["held_out"]["complete"], TURNS["held_out"]["incomplete"]
    held_open = [text for text in complete if verdict(text) is Verdict.INCOMPLETE]
    let_go = [text for text in incomplete if verdict(text) is not Verdict.INCOMPLETE]
    assert len(held_open) <= 0.05 * len(complete), held_open
    assert len(let_go) <= 0.1 * len(incomplete), let_go


@pytest.mark.parametrize(
    ("text", "expecting", "expected"),
    [
        ("555", "phone", Verdict.INCOMPLETE),
        ("555 one two", "phone", Verdict.INCOMPLETE),
        ("five five five, one two three four", "phone", Verdict.UNSURE),
        ("four one five five five five oh one three four", "phone", Verdict.COMPLETE),
        ("415-555-0134", "phone", Verdict.COMPLETE),
        ("415-555-0134 extension", "phone", Verdict.INCOMPLETE),
        ("I don't have one, sorry.", "phone", Verdict.COMPLETE),
        ("4 2", "digits", Verdict.UNSURE),
        ("Daniel", "name", Verdict.UNSURE),
        ("Daniel Harris.", "name", Verdict.COMPLETE),
        ("My name is", "name", Verdict.INCOMPLETE),
        ("It's Daniel Harris.", "name", Verdict.COMPLETE),
        ("Yes.", "yes_no", Verdict.COMPLETE),
        ("Yes, but", "yes_no", Verdict.INCOMPLETE),
        ("Tuesday.", None, Verdict.UNSURE),
        ("Tuesday.", "day", Verdict.UNSURE),
        ("On Tuesday at nine.", "day", Verdict.COMPLETE),
        ("One, two, three.", None, Verdict.UNSURE),
        ("1, 2, 3, 4.", None, Verdict.INCOMPLETE),
        ("9:30.", "time", Verdict.UNSURE),
        ("Yes, that is it.", None, Verdict.UNSURE),
        ("", None, Verdict.UNSURE),
        ("...", None, Verdict.UNSURE),
        ("I would like,", None, Verdict.INCOMPLETE),
    ],
)
def test_what_was_asked_for_counts(text: str, expecting: Expecting | None, expected: Verdict) -> None:
    assert verdict(text, expecting) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I would like to cancel it today.", Verdict.LIKELY),
        ("I have a question.", Verdict.LIKELY),
        ("We can be there in about twenty.", Verdict.UNSURE),
        ("We can be there at twenty past nine.", Verdict.COMPLETE),
        ("Because of the strike.", Verdict.UNSURE),
        ("Because of the strike, I cannot reach you in time.", Verdict.COMPLETE),
        ("I think it was.", Verdict.INCOMPLETE),
        ("Yes, they do.", Verdict.COMPLETE),
        ("You can call as soon as you can.", Verdict.COMPLETE),
        ("There was somebody who can.", Verdict.INCOMPLETE),
        ("Is the practice.", Verdict.INCOMPLETE),
        ("The lady said that.", Verdict.INCOMPLETE),
        ("Could you repeat that?", Verdict.COMPLETE),
        ("And what time would that be?", Verdict.COMPLETE),
        ("That would be.", Verdict.INCOMPLETE),
        ("I need to ask whether my brother.", Verdict.UNSURE),
        ("I would come on my own, if that is possible.", Verdict.COMPLETE),
        ("I need a note from the doctor.", Verdict.COMPLETE),
        ("It was at ten past nine, I think.", Verdict.COMPLETE),
        ("I am parked at the front door", Verdict.UNSURE),
        ("I am parked at the front door.", Verdict.COMPLETE),
        ("My customer number is 8 2 7 5.", Verdict.UNSURE),
    ],
)
def test_how_a_sentence_ends(text: str, expected: Verdict) -> None:
    assert verdict(text) is expected


def test_a_last_word_that_the_recogniser_doubts_may_be_half_of_another() -> None:
    assert verdict("Could you move my visit up?", confidence=0.9) is Verdict.COMPLETE
    assert verdict("Could you move my visit up?", confidence=0.1) is Verdict.UNSURE
    assert verdict("Could you move my", confidence=0.1) is Verdict.INCOMPLETE
    assert verdict("It is Ann Oyelaran.", "name", confidence=0.1) is Verdict.COMPLETE


@pytest.mark.parametrize(
    ("text", "expecting", "expected"),
    [
        ("It is Caroline.", "name", Verdict.UNSURE),
        ("It is Caroline Fisher.", "name", Verdict.COMPLETE),
        ("Yes, it's Mrs. Fisher.", "name", Verdict.COMPLETE),
        ("Yes, it's Mrs.", "name", Verdict.INCOMPLETE),
        ("Yes, Tuesday.", "day", Verdict.LIKELY),
        ("Around eleven.", "time", Verdict.LIKELY),
        ("In the afternoon.", "time", Verdict.COMPLETE),
        ("On Tuesday at ten thirty.", "day", Verdict.COMPLETE),
    ],
)
def test_answers_that_come_in_parts(text: str, expecting: Expecting, expected: Verdict) -> None:
    assert verdict(text, expecting) is expected


@pytest.mark.parametrize(
    "text", ["Mm-hm.", "Mhm.", "Uh-huh.", "Yeah.", "Okay.", "Right.", "Yeah, okay.", "I see.", "Got it!"]
)
def test_backchannels(text: str) -> None:
    assert is_backchannel(text)


@pytest.mark.parametrize(
    "text", ["", "No.", "Wait.", "Yeah, but not on Monday.", "Okay, and what does it cost?", "Stop."]
)
def test_what_is_no_backchannel(text: str) -> None:
    assert not is_backchannel(text)


@pytest.mark.parametrize(
    ("text", "digits"),
    [("", 0), ("no digits here", 0), ("555-0134", 7), ("five five 5", 3), ("double three", 2), ("twenty one", 3)],
)
def test_digits_are_counted_in_figures_and_words(text: str, digits: int) -> None:
    assert digits_in(text) == digits
