"""The engine thread: one at a time, in order, bounded, and it ends."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator

import pytest

from services.engine import EngineThread
from services.errors import Busy, Unavailable
from services.telemetry import call_id
from tests.waiting import LONG


@pytest.fixture
async def engine() -> AsyncIterator[EngineThread]:
    one = EngineThread("test-engine", limit=3)
    yield one
    await one.close()


async def occupied(engine: EngineThread) -> tuple[threading.Event, "asyncio.Task[None]"]:
    """A job that runs until the event is set."""
    begun, release = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        release.wait(LONG)

    task = asyncio.create_task(engine.run(work))
    await asyncio.to_thread(begun.wait, LONG)
    return release, task


async def test_results_and_errors_come_back(engine: EngineThread) -> None:
    assert await engine.run(lambda: threading.current_thread().name) == "test-engine"
    with pytest.raises(ZeroDivisionError):
        await engine.run(lambda: 1 // 0)
    assert await engine.run(lambda: 7) == 7


async def test_jobs_run_in_order_one_at_a_time(engine: EngineThread) -> None:
    done: list[int] = []
    await asyncio.gather(*(engine.run(lambda n=n: done.append(n)) for n in range(3)))  # type: ignore[misc]
    assert done == [0, 1, 2]


async def test_a_full_queue_says_busy(engine: EngineThread) -> None:
    release, first = await occupied(engine)
    waiting = [asyncio.create_task(engine.run(lambda: None)) for _ in range(3)]
    await asyncio.sleep(0)
    assert engine.waiting == 3
    with pytest.raises(Busy, match="3 jobs wait"):
        await engine.run(lambda: None)
    release.set()
    await asyncio.gather(first, *waiting)


async def test_a_cancelled_job_is_skipped(engine: EngineThread) -> None:
    release, first = await occupied(engine)
    ran: list[str] = []
    unwanted = asyncio.create_task(engine.run(lambda: ran.append("unwanted")))
    await asyncio.sleep(0)
    unwanted.cancel()
    wanted = asyncio.create_task(engine.run(lambda: ran.append("wanted")))
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(first, wanted)
    assert ran == ["wanted"]


async def test_cancelling_the_awaiter_of_a_running_job_does_no_harm(engine: EngineThread) -> None:
    release, first = await occupied(engine)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    release.set()
    assert await engine.run(lambda: 1) == 1


@pytest.mark.parametrize("raised", [StopIteration("x"), SystemExit(3), KeyboardInterrupt()])
async def test_odd_exceptions_reach_the_awaiter_and_spare_the_thread(raised: BaseException) -> None:
    engine = EngineThread("odd")

    def work() -> None:
        raise raised

    result = asyncio.ensure_future(asyncio.shield(_outcome(engine, work)))
    assert await result in ("RuntimeError", type(raised).__name__)
    assert await engine.run(lambda: 1) == 1
    await engine.close()


async def _outcome(engine: EngineThread, work: object) -> str:
    try:
        await engine.run(work)  # type: ignore[arg-type]
    except BaseException as error:  # noqa: BLE001 - that is what is looked at
        return type(error).__name__
    return "nothing"


async def test_close_finishes_the_job_under_way_and_refuses_the_rest() -> None:
    engine = EngineThread("closing")
    release, first = await occupied(engine)
    waiting = asyncio.create_task(engine.run(lambda: None))
    await asyncio.sleep(0)
    closing = asyncio.create_task(engine.close())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="stopped"):
        await engine.run(lambda: None)
    release.set()
    await first
    with pytest.raises(Unavailable, match="stopped"):
        await waiting
    await closing
    await engine.close()
    assert "closing" not in {thread.name for thread in threading.enumerate()}


async def test_a_job_belongs_to_the_call_that_asked(engine: EngineThread) -> None:
    call_id.set("abc")
    assert await engine.run(call_id.get) == "abc"


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has its own priority on Linux only")
async def test_a_thread_may_step_back_without_the_rest_of_the_process() -> None:
    engine = EngineThread("modest", nice=7)
    try:
        ours = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        theirs = await engine.run(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        assert theirs == min(19, ours + 7)
        assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == ours
    finally:
        await engine.close()
