"""What counts as the same words."""

import pytest

from loadtest.ears import utterances
from loadtest.performance import Event
from loadtest.wording import contains, normal, word_error


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("Wednesday, November 25th at 10:30 AM.", "wednesday november twenty-fifth at ten thirty a.m."),
        ("Come at 10:30 AM.", "come at 10.30am"),
        ("It costs ninety dollars.", "It costs $90"),
        ("from 8 AM to 5 PM", "from eight a.m. to 5 p.m."),
        ("the check-up", "The check up."),
    ],
)
def test_the_same_words(said: str, heard: str) -> None:
    assert word_error(said, heard) == 0, (normal(said), normal(heard))


def test_errors_are_counted() -> None:
    assert word_error("the blue door opens", "the blew door opens") == 0.25
    assert word_error("", "") == 0
    assert word_error("", "noise") == 1


def test_contains_looks_for_whole_words_in_order() -> None:
    heard = "I have you down for Wednesday at 10:30 a.m."
    assert contains(heard, "ten thirty")
    assert contains(heard, "wednesday")
    assert not contains(heard, "wed")
    assert not contains(heard, "10:30 wednesday")


def test_utterances_are_where_the_agent_spoke() -> None:
    events = [Event("agent_started", 8000), Event("agent_finished", 16000), Event("agent_started", 20000)]
    assert utterances(events, 30000) == [(6400, 17600), (18400, 30000)]
    assert utterances([], 100) == []
