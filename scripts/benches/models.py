"""Benchmarks of the speech models and of the rule that decides when a caller has finished; no call is made."""

import asyncio
from collections.abc import Sequence

from loadtest import bench_spans, bench_turns, bench_words
from loadtest.bench_turns import TurnsReport
from loadtest.report import Figure, percentile
from scripts.benches.common import Result, Setting

RULE = bench_turns.RULES[0].name
"""The one that the agent uses; the others are for comparison."""
CUT_IN_TARGET = 0.03


async def words(setting: Setting) -> Result:
    """The caller's words through G.711."""
    setting.tell(0.0, "60 sentences, without hints and with")
    report = await asyncio.to_thread(bench_words.run)
    figures = (
        Figure("word error", report.word_error_rate * 100, "%", at_most=bench_words.WER_TARGET * 100,
               note=f"{len(report.with_hints)} phone sentences through G.711, packaged voice"),
        Figure("names right, with hints among a dozen decoys", report.names_right * 100, "%",
               at_least=bench_words.NAMES_TARGET * 100),
        Figure("decoys written in place of something else", report.false_names, ""),
        Figure("time of a final decode, p50", report.decode_seconds * 1000, "ms"),
    )  # fmt: skip
    missed = [(one.sentence.text, one.text) for one in report.with_hints if one.sentence.text != one.text]
    return Result(figures, data={"said and heard": missed})


async def spans(setting: Setting) -> Result:
    """Spans of the speech worker's audio."""
    setting.tell(0.0, f"{len(bench_spans.SENTENCES)} sentences")
    report = await asyncio.to_thread(bench_spans.bench_spans)
    figures = (
        Figure("span border against recognised word time, median", report.median * 1000, "ms",
               at_most=bench_spans.TARGET_SECONDS * 1000, note=f"{report.borders} borders"),
        Figure("the same, p90", report.p90 * 1000, "ms"),
    )  # fmt: skip
    return Result(figures)


async def turns(setting: Setting) -> Result:
    """End of turn, on sentences cut where people stop to think and on recordings of people."""
    setting.tell(0.0, "sentences with pauses, and recordings of people")
    reports = await asyncio.to_thread(lambda: asyncio.run(bench_turns.measure("held_out")))
    used = [report for report in reports if report.rule == RULE]
    packaged = [report for report in used if report.source.startswith("packaged voice")]
    people = [report for report in used if report not in packaged]
    figures = (
        *_cut_in("packaged voice", packaged),
        *_cut_in("recordings of people", people),
    )
    return Result(figures, f"```\n{bench_turns.table(reports)}\n```\n")


def _cut_in(name: str, reports: Sequence[TurnsReport]) -> list[Figure]:
    turns_heard = sum(report.turns for report in reports)
    cut = sum(len(report.cut_in) for report in reports)
    waits = [wait for report in reports for wait in report.waits]
    share = cut / turns_heard * 100 if turns_heard else float("nan")
    return [
        Figure(f"agent speaks before the caller has finished, {name}", share, "%", at_most=CUT_IN_TARGET * 100,
               note=f"{cut} of {turns_heard} turns"),
        Figure(f"wait for the decision, p50, {name}", percentile(waits, 0.5) * 1000, "ms"),
        Figure(f"wait for the decision, p95, {name}", percentile(waits, 0.95) * 1000, "ms"),
    ]  # fmt: skip
