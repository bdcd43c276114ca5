"""The sets of sentences are large, apart and marked; the interval of a share is Wilson's."""

import tomllib

import numpy as np
import pytest

from agent.listening.lexical import Verdict
from loadtest.bench_turns import RULES, Pause, TurnsReport, judge, table, together, wilson
from loadtest.performance import RATE
from loadtest.turn_sets import LONGEST, SENTENCES, SHORTEST, Turn, recorded_turns

SETS = tomllib.loads(SENTENCES.read_text("utf-8"))


def words(sentence: str) -> str:
    return " ".join(sentence.replace("|", " ").replace("/", " ").lower().split())


def test_the_sets_share_no_sentence_and_the_held_out_one_is_large() -> None:
    development, held_out = ([words(say) for group in SETS[name].values() for say in group] for name in SETS)
    assert not set(development) & set(held_out)
    assert len(set(held_out)) == len(held_out) >= 200


def test_every_group_is_something_that_can_be_expected() -> None:
    known = {"anything", "yes_no", "name", "phone", "digits", "day", "time"}
    assert all(set(groups) <= known for groups in SETS.values())


def test_recordings_are_cut_between_sounds_with_speech_on_both_sides() -> None:
    turn = next(recorded_turns())
    ((begin, end),) = turn.pauses
    assert SHORTEST * RATE * 0.99 <= end - begin <= (LONGEST + 0.1) * RATE
    for side in (turn.sound[RATE:begin], turn.sound[end : turn.end]):
        assert len(side) >= 0.3 * RATE
        assert np.abs(side).max() > 1000


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"), [(0, 10, 0.0, 0.278), (2, 63, 0.009, 0.109), (5, 10, 0.237, 0.763)]
)
def test_the_interval_of_a_share(hits: int, of: int, low: float, high: float) -> None:
    assert wilson(hits, of) == pytest.approx((low, high), abs=0.001)


def heard(pause: float, resumed: float | None, probability: float, said: str) -> TurnsReport:
    """One pause at 1 s, of a turn that is cut there or ends there."""
    begin, late = RATE, None if resumed is None else round((1 + resumed) * RATE)
    end = begin if resumed is None else 3 * RATE
    silence = ((begin, begin + round(pause * RATE)),) if resumed is not None else ()
    turn = Turn("source", "text", np.zeros(4 * RATE, dtype=np.int16), None, silence, end)
    report = TurnsReport("source", RULES[0].name)
    judge(turn, [Pause(RATE, RATE + 960, late, probability, said)], RULES[0], report)
    return report


def test_the_agent_cuts_in_where_the_caller_resumes_too_late_for_the_rule() -> None:
    sentence = "I would like to cancel my visit."
    assert heard(0.5, 0.63, 0.99, sentence).cut_in == [f"{sentence} (0.99)"]
    assert heard(0.5, 0.63, 0.05, sentence).cut_in == []
    assert heard(0.2, 0.33, 0.99, sentence).cut_in == []
    assert heard(0.5, 0.63, 0.99, "I would like to").cut_in == []


def test_the_wait_is_counted_from_the_last_voiced_sample() -> None:
    report = heard(0.0, None, 0.99, "I would like to cancel my visit.")
    assert report.waits == pytest.approx([RULES[0].seconds(0.99, Verdict.COMPLETE, None)], abs=0.001)
    assert "0.0%" in table([report])
    both = together([report, report], "all", "rule")
    assert (both.turns, len(both.waits)) == (2, 2)
