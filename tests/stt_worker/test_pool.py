"""Threads that decode: parallel, in order, replaced, given up, closed."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.errors import Busy, Unavailable
from stt_worker.pool import DecoderPool, GiveUp, Superseded
from stt_worker.scheduler import Kind
from tests.waiting import LONG


@asynccontextmanager
async def pool_of(decoders: int, max_waiting: int = 8) -> AsyncIterator[DecoderPool[str]]:
    pool: DecoderPool[str] = DecoderPool(decoders, max_waiting)
    try:
        yield pool
    finally:
        await pool.close()


class Blocker:
    """Work that lasts until it is released."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.release = threading.Event()

    def __call__(self, give_up: GiveUp) -> str:
        self.begun.set()
        assert self.release.wait(LONG)
        return "gave up" if give_up() else "done"

    async def running(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, LONG)


async def test_as_many_at_once_as_there_are_decoders() -> None:
    async with pool_of(2) as pool:
        together = threading.Barrier(2, timeout=LONG)
        handles = [pool.submit(n, Kind.FINAL, lambda _: str(together.wait() >= 0)) for n in range(2)]
        done = [await handle.future for handle in handles]
        assert [one.value for one in done] == ["True", "True"]
        assert all(one.begun <= one.finished for one in done)


async def test_a_final_overtakes_and_a_guess_is_replaced_while_the_decoder_is_busy() -> None:
    async with pool_of(1) as pool:
        blocker, order = Blocker(), []

        def work(name: str) -> str:
            order.append(name)
            return name

        busy = pool.submit(0, Kind.FINAL, blocker)
        await blocker.running()
        assert not pool.free
        guess = pool.submit(1, Kind.SPECULATIVE, lambda _: work("guess"))
        other = pool.submit(2, Kind.SPECULATIVE, lambda _: work("other"))
        final = pool.submit(1, Kind.FINAL, lambda _: work("final"))
        blocker.release.set()
        with pytest.raises(Superseded):
            await guess.future
        assert (await busy.future).value == "done"
        assert [(await h.future).value for h in (final, other)] == ["final", "other"]
        assert order == ["final", "other"]


async def test_withdrawing_works_until_it_has_begun() -> None:
    async with pool_of(1) as pool:
        blocker = Blocker()
        running = pool.submit(0, Kind.FINAL, blocker)
        await blocker.running()
        waiting = pool.submit(1, Kind.FINAL, lambda _: "never")
        assert pool.waiting == 1
        assert pool.withdraw(waiting)
        assert waiting.future.cancelled()
        assert not pool.withdraw(running)
        dropped = pool.submit(2, Kind.FINAL, lambda _: "never")
        pool.drop(2)
        assert dropped.future.cancelled()
        blocker.release.set()
        assert (await running.future).value == "done"


async def test_a_partial_gives_way_only_when_somebody_waits() -> None:
    async with pool_of(1) as pool:
        alone, crowded = Blocker(), Blocker()
        partial = pool.submit(0, Kind.PARTIAL, alone)
        await alone.running()
        alone.release.set()
        assert (await partial.future).value == "done"
        partial = pool.submit(0, Kind.PARTIAL, crowded)
        await crowded.running()
        final = pool.submit(1, Kind.FINAL, lambda _: "final")
        crowded.release.set()
        assert (await partial.future).value == "gave up"
        assert (await final.future).value == "final"


async def test_too_many_requests_are_refused_with_a_delay() -> None:
    async with pool_of(1, max_waiting=1) as pool:
        blocker = Blocker()
        pool.submit(0, Kind.FINAL, blocker)
        await blocker.running()
        pool.submit(1, Kind.FINAL, lambda _: "waits")
        with pytest.raises(Busy, match="1 requests wait") as refusal:
            pool.submit(2, Kind.FINAL, lambda _: "never")
        assert refusal.value.retry_after > 0
        blocker.release.set()


async def test_what_the_work_raises_reaches_who_waits_and_the_thread_lives_on() -> None:
    def fail(_: GiveUp) -> str:
        raise ValueError("bad weights")

    async with pool_of(1) as pool:
        with pytest.raises(ValueError, match="bad weights"):
            await pool.submit(0, Kind.FINAL, fail).future
        assert (await pool.submit(0, Kind.FINAL, lambda _: "fine").future).value == "fine"


async def test_closing_refuses_what_waits() -> None:
    pool: DecoderPool[str] = DecoderPool(1, 8)
    blocker = Blocker()
    running = pool.submit(0, Kind.FINAL, blocker)
    await blocker.running()
    waiting = pool.submit(1, Kind.FINAL, lambda _: "never")
    closing = asyncio.create_task(pool.close())
    await asyncio.sleep(0)
    blocker.release.set()
    await closing
    assert (await running.future).value == "done"
    with pytest.raises(Unavailable):
        await waiting.future
    with pytest.raises(Unavailable):
        pool.submit(2, Kind.FINAL, lambda _: "never")
