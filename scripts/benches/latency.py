"""Turn latency at the relay: the booking again and again, on a clean line and on a bad one."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from loadtest.relay import Impairment
from loadtest.report import Figure, markdown_table, percentile
from loadtest.wire import WireTurn
from scripts.benches.common import Result, Setting
from scripts.onecall import PlacedCall, place_call
from scripts.screen import nearest
from scripts.stack import Stack, StackOptions, running

RUNS, QUICK_RUNS = 10, 2
BAD_RUNS, QUICK_BAD_RUNS = 2, 1
BAD_LINE = Impairment(loss=0.05, jitter=0.030, seed=1)


@dataclass(frozen=True)
class Measured:
    """One turn: on the line, and by the agent's own account (None where it has none for it)."""

    call: int
    wire: WireTurn
    metric: float | None
    stages: dict[str, float]


async def run(setting: Setting) -> Result:
    """See the module."""
    clean, bad = (QUICK_RUNS, QUICK_BAD_RUNS) if setting.quick else (RUNS, BAD_RUNS)
    async with running(StackOptions(setting.folder / "data")) as stack:
        on_clean = await _calls(setting, stack, clean, Impairment(), (0.0, clean / (clean + bad)))
        on_bad = await _calls(setting, stack, bad, BAD_LINE, (clean / (clean + bad), 1.0))
    return Result(
        (*latency_figures(on_clean), *error_figures(on_clean, on_bad)),
        f"{_stage_table(on_clean)}\n",
        {"clean": [_raw(turn) for turn in on_clean], "loss 5 %, jitter 30 ms": [_raw(turn) for turn in on_bad]},
    )


async def _calls(
    setting: Setting, stack: Stack, runs: int, impairment: Impairment, share: tuple[float, float]
) -> list[Measured]:
    turns: list[Measured] = []
    for number in range(runs):
        done = share[0] + (share[1] - share[0]) * number / runs
        setting.tell(done, f"call {number + 1} of {runs}, loss {impairment.loss:.0%}")
        _empty_calendars(stack)
        folder = setting.folder / f"loss{impairment.loss:g}-{number:02}"
        turns += measured(number, await place_call(stack, "booking", folder, impairment=impairment))
    return turns


def _empty_calendars(stack: Stack) -> None:
    """So that each caller gets the same slot."""
    for path in (stack.options.data / "calendars").glob("*.sqlite"):
        connection = sqlite3.connect(path, timeout=5)
        with connection:
            connection.execute("DELETE FROM appointments")
        connection.close()


def measured(number: int, placed: PlacedCall) -> list[Measured]:
    """The turns of a call, each with the agent's own figures."""
    found = []
    for wire in placed.wire_turns():
        turn = nearest(placed.record, wire, placed.report.began)
        metric, stages = (turn["latency"], dict(turn["stages"])) if turn else (None, {})
        found.append(Measured(number, wire, metric, stages))
    return found


def latency_figures(turns: Sequence[Measured]) -> list[Figure]:
    """Of turns on a clean line."""
    answered = [turn.wire.latency for turn in turns if turn.wire.latency is not None and not turn.wire.too_early]
    early = sum(turn.wire.too_early for turn in turns)
    silent = sum(turn.wire.latency is None for turn in turns)
    return [
        Figure("turn latency at the relay, p50", percentile(answered, 0.5) * 1000, "ms", at_most=600,
               note=f"{len(answered)} turns"),
        Figure("turn latency at the relay, p95", percentile(answered, 0.95) * 1000, "ms", at_most=1000),
        Figure("agent spoke before the caller had finished", early, "turns", note=f"of {len(turns)}"),
        Figure("turns without an answer", silent, "turns", at_most=0, note=f"of {len(turns)}"),
    ]  # fmt: skip


def error_figures(clean: Sequence[Measured], bad: Sequence[Measured]) -> list[Figure]:
    """How far the agent's own latency lies from the line's."""
    figures = []
    for turns, name, limit in ((clean, "clean line", 20), (bad, "5 % loss, 30 ms jitter", 40)):
        errors = [
            abs(turn.metric - turn.wire.latency)
            for turn in turns
            if turn.metric is not None and turn.wire.latency is not None and not turn.wire.too_early
        ]
        figures.append(
            Figure(f"metric against relay, p95, {name}", percentile(errors, 0.95) * 1000, "ms", at_most=limit,
                   note=f"{len(errors)} turns")
        )  # fmt: skip
    return figures


def _stage_table(turns: Sequence[Measured]) -> str:
    """Where the time goes: median and 95th percentile of each stage."""
    names = list(dict.fromkeys(name for turn in turns for name in turn.stages))
    rows = []
    for name in names:
        values = [turn.stages.get(name, 0.0) * 1000 for turn in turns if turn.stages]
        rows.append((name.replace("_", " "), f"{median(values):.0f}", f"{percentile(values, 0.95):.0f}"))
    return markdown_table(("stage", "p50, ms", "p95, ms"), rows)


def _raw(turn: Measured) -> dict[str, object]:
    wire = turn.wire
    return {
        "call": turn.call,
        "text": wire.text,
        "latency": wire.latency,
        "too_early": wire.too_early,
        "metric": turn.metric,
        "stages": turn.stages,
    }
