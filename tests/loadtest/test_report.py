"""Percentiles, targets, bars."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.report import Bar, Figure, drawn, figures_table, median, percentile, slope, verdict, waterfall

FLOATS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50)


@given(FLOATS, st.floats(0, 1))
def test_percentile_is_numpys(values: list[float], share: float) -> None:
    assert percentile(values, share) == pytest.approx(float(np.percentile(values, share * 100)), abs=1e-6)


def test_nothing_measured() -> None:
    assert math.isnan(percentile([], 0.5))
    assert math.isnan(slope([1.0]))
    assert Figure("latency", math.nan, "ms", at_most=600).passed is False
    assert Figure("latency", math.nan, "ms", at_least=600).passed is False
    assert Figure("latency", math.nan, "ms").shown == "not measured"


def test_slope() -> None:
    assert slope([3.0, 5.0, 7.0, 9.0]) == pytest.approx(2.0)
    assert slope([4.0] * 10) == 0
    assert median([1.0, 9.0, 2.0]) == 2.0


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (Figure("a", 600, "ms", at_most=600), "pass"),
        (Figure("a", 600.1, "ms", at_most=600), "miss"),
        (Figure("a", 75, "%", at_least=75), "pass"),
        (Figure("a", 74, "%", at_least=75), "miss"),
        (Figure("a", 74, "%"), ""),
    ],
)
def test_verdicts(figure: Figure, said: str) -> None:
    assert verdict(figure) == said


def test_table_says_value_target_and_verdict() -> None:
    table = figures_table([Figure("turn latency p50", 512.34, "ms", at_most=600, note="70 turns")])
    assert table.splitlines()[-1] == "| turn latency p50 | 512 ms | ≤ 600 ms | pass | 70 turns |"


def test_waterfall_lies_end_to_end() -> None:
    bars = waterfall({"end_of_turn": 0.2, "transcript": 0.0, "speech": 0.3})
    assert bars == [Bar("end_of_turn", 0.0, 0.2), Bar("speech", 0.2, 0.3)]
    assert drawn(bars[0], 0.5, 10) == "████"
    assert drawn(bars[1], 0.5, 10) == "    ██████"
    assert drawn(Bar("x", 0.5, 0.0001), 0.5, 10) == " " * 9 + "█"
