"""Stages add up to the latency, whatever was done ahead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.marks import Mark, latency, stages

TIMES = st.dictionaries(st.sampled_from(list(Mark)), st.floats(0, 100, allow_nan=False), min_size=2)


@given(TIMES, st.floats(0, 50), st.floats(0, 50))
def test_stages_are_never_negative_and_add_up(marks: dict[Mark, float], begin: float, length: float) -> None:
    marks |= {Mark.CALLER_STOPPED: begin, Mark.AGENT_STARTED: begin + length}
    parts = stages(marks)
    assert all(seconds >= 0 for seconds in parts.values())
    assert sum(parts.values()) == pytest.approx(latency(marks), abs=1e-6)


def test_work_done_ahead_of_the_end_of_the_turn_is_zero() -> None:
    parts = stages(
        {
            Mark.CALLER_STOPPED: 1.0,
            Mark.TRANSCRIPT_FINAL: 1.2,
            Mark.FIRST_TOKEN: 1.25,
            Mark.FIRST_AUDIO: 1.28,
            Mark.END_OF_TURN: 1.3,
            Mark.AGENT_STARTED: 1.32,
        }
    )
    assert parts == pytest.approx(
        {"end_of_turn": 0.3, "transcript": 0, "language_model": 0, "phrase": 0, "speech": 0, "playout": 0.02}
    )


def test_a_tool_has_its_own_stage_and_the_model_is_counted_twice() -> None:
    parts = stages(
        {
            Mark.CALLER_STOPPED: 0.0,
            Mark.END_OF_TURN: 0.3,
            Mark.TOOL_REQUESTED: 0.4,
            Mark.TOOL_FINISHED: 0.9,
            Mark.FIRST_TOKEN: 1.0,
            Mark.AGENT_STARTED: 1.0,
        }
    )
    assert parts["tool"] == pytest.approx(0.5)
    assert parts["language_model"] == pytest.approx(0.2)


def test_a_turn_without_both_ends_has_no_latency() -> None:
    assert stages({Mark.CALLER_STOPPED: 1.0}) == {}
    assert latency({Mark.AGENT_STARTED: 1.0}) is None
