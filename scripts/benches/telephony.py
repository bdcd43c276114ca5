"""The SIP leg by itself: delay of sound, what loss does to it, what a call costs."""

import asyncio
import sys

from loadtest.bench_telephony import measure_cost
from loadtest.report import Figure
from scripts.benches.common import Result, Setting
from scripts.onecall import CallFailed
from scripts.stack import ROOT

CALLS, QUICK_CALLS = 40, 10
SECONDS, QUICK_SECONDS = 20, 5


async def run(setting: Setting) -> Result:
    """See the module."""
    calls, seconds = (QUICK_CALLS, QUICK_SECONDS) if setting.quick else (CALLS, SECONDS)
    texts = []
    for number, part in enumerate(("delay", "loss")):
        setting.tell(number / 3, part)
        texts.append(await _part(part))
    setting.tell(2 / 3, f"{calls} calls")
    cost = await measure_cost(calls, seconds)
    figures = (
        Figure("SIP, RTP and pump per call", cost.core * 100, "% of a core", note=f"{cost.calls} calls, all threads"),
        Figure("of it in the event loop's thread", cost.loop * 100, "% of a core"),
        Figure("packets silent inside speech", cost.gaps * 100, "%"),
    )
    return Result(figures, "```\n" + "".join(texts) + "```\n")


async def _part(name: str) -> str:
    """What a part prints. A process of its own: the SIP stack runs once in each."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest.bench_telephony", name, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise CallFailed(f"loadtest.bench_telephony {name} ended with exit code {process.returncode}")
    return said.decode()
