"""The SIP leg by itself: delay of sound, what loss does to it, what a call costs; and a whole call's first word."""

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

from loadtest.bench_telephony import Cost, measure_cost
from loadtest.report import Figure, markdown_table, percentile
from scripts.benches.common import Result, Setting
from scripts.benches.greeting import greetings
from scripts.onecall import CallFailed
from scripts.stack import ROOT, StackOptions, running

CALLS, QUICK_CALLS = 40, 10
SECONDS, QUICK_SECONDS = 20, 5
GREETINGS, QUICK_GREETINGS = 24, 4
GREETING_MS = 100


async def run(setting: Setting) -> Result:
    """See the module."""
    calls, seconds = (QUICK_CALLS, QUICK_SECONDS) if setting.quick else (CALLS, SECONDS)
    setting.tell(0, "delay")
    delay = await _part("delay")
    setting.tell(0.25, "loss")
    loss = await _part("loss")
    setting.tell(0.6, f"{calls} calls")
    cost = await measure_cost(calls, seconds)
    setting.tell(0.75, "greetings of a whole service")
    async with running(StackOptions(setting.folder / "data")) as stack:
        greeted = await greetings(stack, QUICK_GREETINGS if setting.quick else GREETINGS)
    figures = (*greeting_figures(greeted), *delay_figures(delay), *cost_figures(cost))
    return Result(figures, loss_table(loss), {"greeting_seconds": greeted, "delay": delay, "loss": loss})


def greeting_figures(seconds: Sequence[float]) -> tuple[Figure, ...]:
    """Of whole calls."""
    name = "ACK → first audible packet of the greeting"
    note = f"{len(seconds)} calls to the whole service, one after the other, at a raw peer"
    return (
        Figure(f"{name}, p50", percentile(seconds, 0.5) * 1000, "ms"),
        Figure(f"{name}, longest", max(seconds, default=float("nan")) * 1000, "ms", at_most=GREETING_MS, note=note),
    )


def delay_figures(found: dict[str, Any]) -> tuple[Figure, ...]:
    """Of the leg by itself."""
    out, into = found["out"], found["into"]
    return (
        Figure("out, pump asks → packet, p50", percentile(out, 0.5) * 1000, "ms"),
        Figure("out, pump asks → packet, p99", percentile(out, 0.99) * 1000, "ms", note=f"{len(out)} bursts"),
        Figure("frames missing inside them", found["missing"], ""),
        Figure("in, packet → read, p50", percentile(into, 0.5) * 1000, "ms", note="jitter buffer 40-100"),
        Figure("in, packet → read, p99", percentile(into, 0.99) * 1000, "ms"),
    )


def cost_figures(cost: Cost) -> tuple[Figure, ...]:
    """Of an agent without a mind that talks and listens in many calls."""
    return (
        Figure("SIP, RTP and pump per call", cost.core * 100, "% of a core", note=f"{cost.calls} calls, all threads"),
        Figure("of it in the event loop's thread", cost.loop * 100, "% of a core"),
        Figure("packets silent inside speech", cost.gaps * 100, "%"),
    )


def loss_table(rows: list[dict[str, Any]]) -> str:
    """Jitter buffers against lines."""
    cells = [
        (
            row["jitter_ms"], row["line"], f"{row['delivered']:.1%}",
            f"{row['p50'] * 1000:.0f} ms", f"{row['p99'] * 1000:.0f} ms",
        )
        for row in rows
    ]  # fmt: skip
    return markdown_table(("jitter buffer", "line", "delivered of what arrived", "p50", "p99"), cells) + "\n"


async def _part(name: str) -> Any:
    """What a part has found. A process of its own: the SIP stack runs once in each."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest.bench_telephony", name, "--json", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise CallFailed(f"loadtest.bench_telephony {name} ended with exit code {process.returncode}")
    return json.loads(said.decode().splitlines()[-1])
