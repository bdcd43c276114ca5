"""What a connected call costs the agent's process, and whether it keeps time with forty of them on one core."""

import asyncio
import os

from loadtest.report import Figure, markdown_table
from scripts.benches.common import Result, Samples, Setting, grown, histogram_percentile, samples
from scripts.benches.processes import Callers, Footprint, crowd, footprint
from scripts.onecall import CallFailed
from scripts.stack import Stack, StackOptions, running

CALLS, QUICK_CALLS = 40, 8
SECONDS, QUICK_SECONDS = 60, 15
SETTLE_SECONDS = 5
SCRIPTED = {
    "TRUNKLINE_STT_ENGINE": "scripted",
    "TRUNKLINE_STT_MAX_STREAMS": "200",
    "TRUNKLINE_STT_SCRIPTED_DELAY": "0.15",
    "TRUNKLINE_STT_DECODERS": "40",
    "TRUNKLINE_TTS_ENGINE": "scripted",
    "TRUNKLINE_TTS_MAX_STREAMS": "200",
    "TRUNKLINE_LLM_BACKEND": "scripted",
}
"""The workers cost next to nothing; voice activity and the turn model are in the agent and stay. The recogniser takes
as long as one on a good processor: were its words there sooner, the turn model would not be asked about most pauses."""


async def run(setting: Setting) -> Result:
    """See the module."""
    calls, seconds = (QUICK_CALLS, QUICK_SECONDS) if setting.quick else (CALLS, SECONDS)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise CallFailed("the agent is measured alone on a core; this machine has one core only")
    alone, others = (("taskset", "-c", ",".join(map(str, some))) for some in (cores[:1], cores[1:]))
    options = StackOptions(setting.folder / "data", environment=SCRIPTED, agent_prefix=alone, worker_prefix=others)
    async with running(options) as stack:
        pid = stack.supervisor.pid("agent")
        assert pid is not None
        idle = await _cost(stack, pid, min(seconds, 10))
        setting.tell(0.2, f"{calls} calls")
        stay = seconds + 3 * SETTLE_SECONDS
        callers = Callers("talk", stack.sip_address, calls, calls, stay, others)
        async with crowd(callers) as people:
            await people.everybody_up()
            await asyncio.sleep(SETTLE_SECONDS)
            setting.tell(0.4, f"measuring for {seconds} s")
            loaded = await _cost(stack, pid, seconds)
            setting.tell(0.9, "hanging up")
            tally = await people.tally()
    return _result(calls, idle, loaded, tally)


class _Cost:
    """A stretch of time in the life of the agent."""

    def __init__(self, seconds: float, footprints: tuple[Footprint, Footprint], pages: tuple[Samples, Samples]) -> None:
        self.core_share = (footprints[1].cpu_seconds - footprints[0].cpu_seconds) / seconds
        self.resident = footprints[1].resident_bytes
        self.threads = footprints[1].threads
        self.lateness = histogram_percentile(*pages, "trunkline_pump_lateness_seconds", 0.99)
        self.starved = grown(*pages, "trunkline_playout_starved_frames_total")
        self.skipped = grown(*pages, "trunkline_pump_skipped_ticks_total")


async def _cost(stack: Stack, pid: int, seconds: float) -> _Cost:
    clock = asyncio.get_running_loop().time
    page, start, began = samples(await stack.metrics()), footprint(pid), clock()
    await asyncio.sleep(seconds)
    end, took = footprint(pid), clock() - began
    return _Cost(took, (start, end), (page, samples(await stack.metrics())))


def _result(calls: int, idle: _Cost, loaded: _Cost, tally: dict[str, int]) -> Result:
    per_call, unserved = loaded.core_share / calls, tally["refused"] + tally["ended_early"]
    figures = (
        Figure("agent process per connected call", per_call * 100, "% of a core", at_most=1.8,
               note=f"{calls} calls, what it costs idle included"),
        Figure("pump lateness, p99", loaded.lateness * 1000, "ms", at_most=20, note="upper edge of the bucket"),
        Figure("starved frames inside a phrase", loaded.starved, "", at_most=0),
        Figure("ticks left out", loaded.skipped, "", at_most=0),
        Figure("calls refused or ended by the agent", unserved, "", at_most=0, note=f"of {calls}"),
        Figure("calls that heard nothing", tally["heard_nothing"], "", at_most=0),
    )  # fmt: skip
    rows = [
        (
            name,
            f"{cost.core_share:.1%}",
            f"{cost.resident / 2**20:.0f}",
            str(cost.threads),
            f"{cost.lateness * 1000:.0f}",
        )
        for name, cost in (("idle", idle), (f"{calls} calls", loaded))
    ]
    table = markdown_table(("", "of its core", "memory, MiB", "threads", "lateness p99, ms"), rows)
    text = (
        f"{table}\n\nThe agent is pinned to one core with all its threads, SIP and RTP included; scripted workers and "
        "the callers share the others. Callers speak about half of the time and the agent answers.\n"
    )
    return Result(figures, text, {"idle": vars(idle), "loaded": vars(loaded), "tally": tally})
