"""The counterweight to latency: how often the agent speaks before a hesitating caller has finished, on a real line."""

from loadtest.report import Figure, markdown_table
from loadtest.wire import WireTurn
from scripts.benches.common import Result, Setting
from scripts.onecall import place_call
from scripts.stack import StackOptions, running

CALLS, QUICK_CALLS = 6, 1
SCENARIOS = ("hesitating", "pondering")
TARGET = 0.03


async def run(setting: Setting) -> Result:
    """See the module."""
    calls = QUICK_CALLS if setting.quick else CALLS
    turns: list[WireTurn] = []
    for number in range(calls):
        name = SCENARIOS[number % len(SCENARIOS)]
        setting.tell(number / calls, f"call {number + 1} of {calls}, {name}")
        # A calendar of its own for each call: the slots are the same.
        async with running(StackOptions(setting.folder / f"data-{number}")) as stack:
            placed = await place_call(stack, name, setting.folder / f"{name}-{number}")
        turns += placed.wire_turns()
    early = [turn for turn in turns if turn.too_early]
    share = len(early) / len(turns) * 100 if turns else float("nan")
    figure = Figure(
        "agent speaks before the hesitating caller has finished", share, "%", at_most=TARGET * 100,
        note=f"{len(early)} of {len(turns)} turns, pauses of 0.3 to 0.9 s inside sentences",
    )  # fmt: skip
    rows = [(turn.text, f"{-1000 * (turn.latency or 0):.0f}") for turn in early]
    table = markdown_table(("said", "ms before its end"), rows) if rows else ""
    return Result((figure,), table, {"turns": len(turns), "too_early": [turn.text for turn in early]})
