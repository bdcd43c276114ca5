"""Three hundred calls one after the other: nothing of a call may stay behind in the agent."""

import asyncio
import math

from loadtest.report import Figure, slope
from scripts.benches.capacity import SCRIPTED
from scripts.benches.common import Result, Setting, samples
from scripts.benches.processes import Callers, Footprint, crowd, footprint
from scripts.stack import Stack, StackOptions, running

CALLS, QUICK_CALLS = 300, 30
WARM_UP_CALLS = 20
"""First calls fill caches and pools; growth is measured from there."""
CALL_SECONDS = 1.5
SAMPLES = 20
LINGER_SECONDS = 5.0
"""For what a call leaves to be closed after it."""


async def run(setting: Setting) -> Result:
    """See the module."""
    calls = QUICK_CALLS if setting.quick else CALLS
    async with running(StackOptions(setting.folder / "data", environment=SCRIPTED)) as stack:
        pid = stack.supervisor.pid("agent")
        assert pid is not None
        setting.tell(0.0, "warming up")
        await _batch(stack, WARM_UP_CALLS)
        begin = await _still(pid)
        seen = [begin]
        tasks = [await _tasks(stack)]
        for number in range(SAMPLES):
            setting.tell(number / SAMPLES, f"{number * calls // SAMPLES} of {calls} calls")
            await _batch(stack, calls // SAMPLES or 1)
            seen.append(await _still(pid))
            tasks.append(await _tasks(stack))
    made = (calls // SAMPLES or 1) * SAMPLES
    return _result(made, seen, tasks)


async def _batch(stack: Stack, calls: int) -> None:
    async with crowd(Callers("talk", stack.sip_address, calls, 1, CALL_SECONDS)) as people:
        await people.everybody_up()
        await people.tally()


async def _still(pid: int) -> Footprint:
    await asyncio.sleep(LINGER_SECONDS / 5)
    return footprint(pid)


async def _tasks(stack: Stack) -> float:
    """Tasks of the agent's event loop; NaN where it does not tell."""
    page = samples(await stack.metrics())
    return page.get(("trunkline_event_loop_tasks", ()), math.nan)


def _result(calls: int, seen: list[Footprint], tasks: list[float]) -> Result:
    first, last = seen[0], seen[-1]
    per_sample = calls / (len(seen) - 1)
    growth = slope([one.resident_bytes for one in seen]) / per_sample / 1000
    figures = (
        Figure("memory slope", growth, "kB a call", at_most=20, note=f"{calls} calls after {WARM_UP_CALLS} to warm up"),
        Figure("more sockets than before", last.sockets - first.sockets, "", at_most=0),
        Figure("more files than before", last.files - first.files, "", at_most=0),
        Figure("more threads than before", last.threads - first.threads, "", at_most=0),
        Figure("more asyncio tasks than before", tasks[-1] - tasks[0], "", at_most=0),
    )
    data = {
        "resident_bytes": [one.resident_bytes for one in seen],
        "sockets": [one.sockets for one in seen],
        "files": [one.files for one in seen],
        "threads": [one.threads for one in seen],
        "tasks": tasks,
    }
    return Result(figures, "Each call is answered, hears the beginning of the greeting and hangs up.\n", data)
