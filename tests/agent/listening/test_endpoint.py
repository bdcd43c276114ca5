"""How long a silence must be: never shorter for doubtful words or an open intonation."""

from itertools import pairwise

import pytest

from agent.listening.endpoint import PATIENT, QUICK, USUAL, Patience, required_silence
from agent.listening.lexical import Verdict

PROBABILITIES = [0.0, 0.1, 0.2, 0.39, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0]
LONGEST_PAUSE = 0.9
START_HEARD_LATE = 0.13


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("expecting", [None, "phone", "name", "yes_no"])
def test_the_more_finished_it_sounds_the_shorter(verdict: Verdict, expecting: str | None) -> None:
    waits = [required_silence(p, verdict, expecting) for p in PROBABILITIES]  # type: ignore[arg-type]
    assert waits == sorted(waits, reverse=True)


@pytest.mark.parametrize("probability", [None, *PROBABILITIES])
def test_the_more_finished_it_reads_the_shorter(probability: float | None) -> None:
    waits = [required_silence(probability, v) for v in Verdict]  # from complete to incomplete
    assert waits == sorted(waits)
    assert waits[0] < waits[-1]


def test_a_turn_that_is_plainly_over_is_answered_soon() -> None:
    assert required_silence(0.97, Verdict.COMPLETE) <= 0.45


def test_doubt_grows_without_steps() -> None:
    waits = [required_silence(p / 100, Verdict.COMPLETE) for p in range(101)]
    assert max(before - after for before, after in pairwise(waits)) < 0.16
    assert waits[0] > LONGEST_PAUSE + START_HEARD_LATE


@pytest.mark.parametrize("patience", [QUICK, USUAL, PATIENT])
def test_a_kind_of_sentence_that_is_often_continued_is_given_longer(patience: Patience) -> None:
    finished, likely = (required_silence(0.98, v, patience=patience) for v in (Verdict.COMPLETE, Verdict.LIKELY))
    assert finished < likely < required_silence(0.98, Verdict.UNSURE, patience=patience)


@pytest.mark.parametrize("probability", [0.99, 0.9, 0.5, 0.05])
@pytest.mark.parametrize("verdict", list(Verdict))
def test_patience_only_lengthens(probability: float, verdict: Verdict) -> None:
    waits = [required_silence(probability, verdict, patience=patience) for patience in (QUICK, USUAL, PATIENT)]
    assert waits == sorted(waits)


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
