"""The 20 ms clock of all calls, in virtual time over memory legs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest

from agent.audio import Samples
from agent.telephony import pump as pump_module
from agent.telephony.memory import MemoryLeg
from agent.telephony.pump import Member, Pump
from tests.virtual_time import run_virtual

FRAME = 160


def frame(value: int) -> Samples:
    return np.full(FRAME, value, dtype=np.int16)


class Caller:
    """A member that remembers what it hears and says what it is given."""

    def __init__(self, leg: MemoryLeg) -> None:
        self.leg = leg
        self.heard: list[tuple[float, int, int]] = []
        self.to_say: list[Samples] = []
        self.asked = 0
        self.on_hear: Callable[[], None] = lambda: None

    def on_frames(self, frames: Samples, first: int, now: float) -> None:
        self.heard.append((now, first, frames.size))
        self.on_hear()

    def next_frame(self, now: float) -> Samples | None:
        self.asked += 1
        return self.to_say.pop(0) if self.to_say else None


async def answered(rate: int = 8000) -> Caller:
    leg = MemoryLeg(rate=rate)
    await leg.answer()
    return Caller(leg)


@asynccontextmanager
async def running(pump: Pump) -> AsyncIterator[None]:
    task = asyncio.ensure_future(pump.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_it_keeps_time_when_the_far_end_sends_nothing() -> None:
    async def scenario() -> None:
        caller, pump = await answered(), Pump()
        pump.add(caller)
        async with running(pump):
            await asyncio.sleep(60)
        assert 59.9 * 8000 <= pump.position(caller) <= 60 * 8000
        assert all(a[1] + a[2] == b[1] for a, b in zip(caller.heard, caller.heard[1:], strict=False))

    run_virtual(scenario())


def test_speech_leaves_at_the_next_frame_time_without_gaps() -> None:
    async def scenario() -> None:
        caller, pump = await answered(), Pump()
        pump.add(caller)
        async with running(pump):
            await asyncio.sleep(1.013)
            caller.to_say = [frame(index) for index in range(1, 101)]
            start = asyncio.get_running_loop().time()
            await asyncio.sleep(3)
            caller.leg.buffered()
        times = [heard.time for heard in caller.leg.far.heard]
        assert [int(heard.samples[0]) for heard in caller.leg.far.heard] == list(range(1, 101))
        assert times[0] - start <= 0.04
        assert np.allclose(np.diff(times), 0.02)

    run_virtual(scenario())


def test_a_leg_never_holds_more_than_the_depth() -> None:
    async def scenario() -> None:
        caller, pump = await answered(), Pump()
        caller.to_say = [frame(1)] * 100
        pump.add(caller)
        async with running(pump):
            for _ in range(100):
                await asyncio.sleep(0.0137)
                assert caller.leg.buffered() <= pump_module.DEPTH_FRAMES * FRAME

    run_virtual(scenario())


def test_what_was_cleared_is_neither_heard_nor_counted_as_sent() -> None:
    async def scenario() -> None:
        caller, pump = await answered(), Pump()
        caller.to_say = [frame(1)] * 100
        pump.add(caller)
        async with running(pump):
            await asyncio.sleep(0.505)
            written = 100 - len(caller.to_say)
            caller.to_say = []
            thrown_away = caller.leg.clear()
            await asyncio.sleep(0.5)
            caller.leg.buffered()
        assert len(caller.leg.far.heard) == written - thrown_away // FRAME

    run_virtual(scenario())


def test_all_sound_of_a_tick_is_heard_in_one_go_before_the_members_get_it() -> None:
    batches: list[list[tuple[Member, int]]] = []

    async def listen(sounds: Sequence[tuple[Member, Samples]]) -> None:
        await asyncio.sleep(0.003)
        batches.append([(member, samples.size) for member, samples in sounds])

    async def scenario() -> None:
        callers = [await answered(8000), await answered(16000), await answered(8000)]
        pump = Pump(listen)
        order: list[str] = []
        for caller in callers:
            caller.on_hear = lambda: order.append("member")
            pump.add(caller)
        async with running(pump):
            for _ in range(50):
                for caller in callers:
                    caller.leg.far.speak(np.ones(caller.leg.rate // 50, dtype=np.int16))
                await asyncio.sleep(0.02)
        assert max(len(batch) for batch in batches) == 3
        assert sum(len(batch) for batch in batches) == len(order)
        assert {size for batch in batches for _, size in batch} >= {160, 320}

    run_virtual(scenario())


def test_a_stall_is_skipped_and_counted() -> None:
    async def scenario() -> None:
        caller, pump = await answered(), Pump()
        pump.add(caller)
        before = pump_module.metrics.skipped_ticks._value.get()
        async with running(pump):
            await asyncio.sleep(1)
            asyncio.get_running_loop()._jumping.now += 1.0  # a second in which this process did not run
            await asyncio.sleep(1)
        assert pump_module.metrics.skipped_ticks._value.get() - before == pytest.approx(50, abs=2)
        assert 2.9 * 8000 <= pump.position(caller) <= 3.0 * 8000
        jumps = [b[1] - a[1] - a[2] for a, b in zip(caller.heard, caller.heard[1:], strict=False)]
        assert [jump > 0 for jump in jumps].count(True) == 1
        gaps = np.diff([time for time, _, _ in caller.heard])
        assert (gaps[-20:] < 0.025).all()

    run_virtual(scenario())


def test_a_member_may_leave_while_its_sound_is_delivered() -> None:
    async def scenario() -> None:
        first, second, pump = await answered(), await answered(), Pump()
        first.on_hear = lambda: pump.remove(second)
        pump.add(first)
        pump.add(second)
        async with running(pump):
            await asyncio.sleep(1)
        assert first.heard
        assert not second.heard
        pump.remove(second)

    run_virtual(scenario())


def test_the_clock_does_not_drift_when_every_tick_takes_time() -> None:
    async def slow(_: Sequence[tuple[Member, Samples]]) -> None:
        await asyncio.sleep(0.007)

    async def scenario() -> None:
        caller, pump = await answered(), Pump(slow)
        pump.add(caller)
        async with running(pump):
            await asyncio.sleep(30)
        times = np.array([time for time, _, _ in caller.heard])
        assert len(times) == pytest.approx(1500, abs=3)
        assert np.allclose(times % 0.02, times[0] % 0.02, atol=1e-6) or np.allclose(np.diff(times), 0.02, atol=1e-6)

    run_virtual(scenario())
