"""Benchmarks of the speech models and of the rule that decides when a caller has finished; no call is made."""

import asyncio
from collections.abc import Sequence

from loadtest import bench_spans, bench_turns, bench_words
from loadtest.bench_turns import TurnsReport
from loadtest.report import Figure, percentile
from scripts.benches.common import Result, Setting

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
    """End of turn, on sentences cut where people stop to think and on recordings of other voices."""
    setting.tell(0.0, "sentences with pauses, and other voices")
    reports = await asyncio.to_thread(lambda: asyncio.run(bench_turns.measure("held_out")))
    used = [report for report in reports if report.rule == bench_turns.USED]
    figures = [
        *_cut_in("scenario hesitating", used),
        *_cut_in("packaged voice", used, waits=True),
        *_cut_in("packaged voice, in a phrase", used),
        *_cut_in("packaged voice, could end there", used),
        *_cut_in("other voices", used, waits=True),
    ]
    return Result(tuple(figures), f"```\n{bench_turns.table(reports)}\n```\n")


def _cut_in(name: str, reports: Sequence[TurnsReport], waits: bool = False) -> list[Figure]:
    of_these = bench_turns.together((one for one in reports if one.source.startswith(name)), name, bench_turns.USED)
    cut = len(of_these.cut_in)
    share = cut / of_these.turns * 100 if of_these.turns else float("nan")
    low, high = bench_turns.wilson(cut, of_these.turns)
    note = f"{cut} of {of_these.turns} turns; 95 % interval {low * 100:.1f} to {high * 100:.1f} %"
    figures = [
        Figure(f"agent speaks before the caller has finished, {name}", share, "%", at_most=CUT_IN_TARGET * 100,
               note=note),
    ]  # fmt: skip
    if waits:
        figures += [
            Figure(f"wait for the decision, {point}, {name}", percentile(of_these.waits, at) * 1000, "ms")
            for point, at in (("p50", 0.5), ("p95", 0.95))
        ]
    return figures
