"""How long a silence must be: never shorter for doubtful words or an open intonation."""

import pytest

from agent.listening.endpoint import required_silence
from agent.listening.lexical import Verdict

PROBABILITIES = [0.0, 0.1, 0.2, 0.39, 0.4, 0.6, 0.8, 1.0]
LONGEST_PAUSE = 0.9
START_HEARD_LATE = 0.13


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("expecting", [None, "phone", "name", "yes_no"])
def test_the_more_finished_it_sounds_the_shorter(verdict: Verdict, expecting: str | None) -> None:
    waits = [required_silence(p, verdict, expecting) for p in PROBABILITIES]  # type: ignore[arg-type]
    assert waits == sorted(waits, reverse=True)


@pytest.mark.parametrize("probability", [None, *PROBABILITIES])
def test_the_more_finished_it_reads_the_shorter(probability: float | None) -> None:
    complete, unsure, incomplete = (required_silence(probability, v) for v in Verdict)
    assert complete <= unsure <= incomplete


def test_a_turn_that_is_plainly_over_is_answered_soon() -> None:
    assert required_silence(0.95, Verdict.COMPLETE) <= 0.45


@pytest.mark.parametrize("probability", [None, *PROBABILITIES])
def test_an_open_end_outlasts_every_usual_pause(probability: float | None) -> None:
    assert required_silence(probability, Verdict.INCOMPLETE) > LONGEST_PAUSE + START_HEARD_LATE


@pytest.mark.parametrize("expecting", ["phone", "digits", "name"])
def test_what_is_dictated_may_pause(expecting: str) -> None:
    assert required_silence(0.99, Verdict.UNSURE, expecting) > LONGEST_PAUSE + START_HEARD_LATE  # type: ignore[arg-type]


@pytest.mark.parametrize("probability", [None, *PROBABILITIES])
@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_hesitant_caller_is_given_more_time_and_never_less(probability: float | None, verdict: Verdict) -> None:
    usual, patient = (required_silence(probability, verdict, hesitant=hesitant) for hesitant in (False, True))
    assert patient == max(usual, 0.75)
