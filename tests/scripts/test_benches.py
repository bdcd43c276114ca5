"""What the benchmarks share: reading Prometheus pages and processes, writing results."""

import json
import math
import os
import socket
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from loadtest.rawmedia import encode_mulaw
from loadtest.report import Figure
from loadtest.scenario import parse
from loadtest.wire import WireTurn
from scripts.benches import BENCHMARKS, barge_in
from scripts.benches.common import Benchmark, Result, Setting, grown, hardware, histogram_percentile, samples, write
from scripts.benches.greeting import audible_at
from scripts.benches.latency import Measured, error_figures, latency_figures
from scripts.benches.processes import footprint
from scripts.benches.telephony import greeting_figures, loss_table
from scripts.screen import nearest

BEFORE = """
# TYPE calls counter
calls_total{leg="sip"} 3
# TYPE late histogram
late_bucket{le="0.01"} 10
late_bucket{le="0.02"} 10
late_bucket{le="+Inf"} 10
late_count 10
late_sum 0.1
"""
AFTER = """
# TYPE calls counter
calls_total{leg="sip"} 5
calls_total{leg="webrtc"} 4
# TYPE late histogram
late_bucket{le="0.01"} 108
late_bucket{le="0.02"} 109
late_bucket{le="+Inf"} 110
late_count 110
late_sum 0.9
"""


def test_growth_between_two_pages() -> None:
    before, after = samples(BEFORE), samples(AFTER)
    assert grown(before, after, "calls_total") == 6
    assert histogram_percentile(before, after, "late", 0.98) == 0.01
    assert histogram_percentile(before, after, "late", 0.99) == 0.02
    assert histogram_percentile(before, after, "late", 1.0) == math.inf
    assert math.isnan(histogram_percentile(before, before, "late", 0.99))
    assert math.isnan(histogram_percentile(before, after, "other", 0.99))


def test_result_is_written_for_people_and_programs(tmp_path: Path) -> None:
    async def run(_: Setting) -> Result:
        return Result(())

    figures = (Figure("latency", 512.0, "ms", at_most=600), Figure("unknown", math.nan, "", at_most=0))
    page = write(
        tmp_path,
        Benchmark("one", "One thing", run),
        Result(figures, "More.", {"raw": [1]}),
        date(2026, 1, 2),
        "make it",
    )
    text = page.read_text()
    assert page.name == "2026-01-02-one.md"
    assert text.startswith("# One thing\n\n2026-01-02, ")
    assert "| latency | 512 ms | ≤ 600 ms | pass |  |" in text
    assert "Command: `make it`" in text
    table = json.loads(page.with_suffix(".json").read_text())
    assert [figure["verdict"] for figure in table["figures"]] == ["pass", "miss"]
    assert table["figures"][1]["value"] is None
    assert table["data"] == {"raw": [1]}


def test_hardware_is_named() -> None:
    assert f"{len(os.sched_getaffinity(0))} cores" in hardware()


def test_footprint_counts_what_a_process_holds() -> None:
    before = footprint(os.getpid())
    with socket.socket() as one, socket.socket() as two, Path("/dev/null").open("rb"):
        now = footprint(os.getpid())
    assert one.fileno() == two.fileno() == -1
    assert now.sockets - before.sockets == 2
    assert now.files - before.files == 1
    assert now.resident_bytes > 10**7
    assert footprint(os.getpid()).cpu_seconds >= before.cpu_seconds


def turn(stopped: float, started: float | None) -> WireTurn:
    return WireTurn("say", "words", stopped - 1, stopped, None, started)


def test_latency_figures_leave_out_what_came_too_early() -> None:
    turns = [
        Measured(0, turn(10, 10.5), 0.49, {}),
        Measured(0, turn(20, 19.5), None, {}),
        Measured(0, turn(30, None), None, {}),
    ]
    p50, p95, early, silent = latency_figures(turns)
    assert (p50.value, p95.value) == (pytest.approx(500), pytest.approx(500))
    assert (early.value, silent.value) == (1, 1)
    assert silent.passed is False
    clean, bad = error_figures(turns, [])
    assert clean.value == pytest.approx(10)
    assert math.isnan(bad.value)


def test_a_turn_on_the_line_is_found_in_the_record() -> None:
    rows = [{"latency": 0.5, "marks": {"caller_stopped": at}, "index": n} for n, at in enumerate((3.0, 9.1))]
    record = {"turns": [*rows, {"latency": None, "marks": {}, "index": 2}]}
    assert nearest(record, turn(109.0, 109.5), 100.0) == rows[1]
    assert nearest(record, turn(106.0, 106.5), 100.0) is None


def test_scenarios_of_the_benchmarks_are_valid() -> None:
    assert len(parse(barge_in._interrupting(), "x").steps) == len(barge_in.QUESTIONS) + 2
    listener = parse(barge_in._agreeing(11, 2.5, 1), "x")
    assert len(listener.steps) == 13
    assert not any(getattr(step, "wait", False) for step in listener.steps)  # it ends whatever the agent does


def test_every_figure_of_the_readme_has_a_benchmark() -> None:
    assert {"latency", "hesitation", "turns", "barge_in", "capacity", "words", "soak"} <= set(BENCHMARKS)


def test_a_greeting_is_late_when_one_call_is() -> None:
    assert [figure.passed for figure in greeting_figures([0.03, 0.05, 0.099])] == [None, True]
    assert [figure.passed for figure in greeting_figures([0.03] * 23 + [0.101])] == [None, False]
    assert greeting_figures([])[1].passed is False, "what was not measured has not passed"


def test_a_greeting_begins_with_the_first_packet_that_can_be_heard() -> None:
    def packet(level: int) -> bytes:
        return bytes(12) + encode_mulaw(np.full(160, level, dtype=np.int16))

    faint, loud = packet(60), packet(500)
    assert audible_at([]) is None
    assert audible_at([(1.0, faint), (1.02, bytes(12))]) is None
    assert audible_at([(1.0, faint), (1.02, loud), (1.04, loud)]) == 1.02


def test_jitter_buffers_stand_in_a_table() -> None:
    row = {"jitter_ms": "20-60", "line": "clean", "delivered": 0.986, "p50": 0.02, "p99": 0.0231}
    assert loss_table([row]).splitlines()[2] == "| 20-60 | clean | 98.6% | 20 ms | 23 ms |"
