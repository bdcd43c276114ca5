"""The leg without a network: what only it has. The rest is in the contract."""

import asyncio

import numpy as np
import pytest

from agent.telephony.leg import CallInfo, Connected, Ended, EndReason
from agent.telephony.memory import MemoryLeg
from tests.virtual_time import run_virtual

FRAME = 160


def frame(value: int) -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    return np.full(FRAME, value, dtype=np.int16)


def outbound() -> MemoryLeg:
    return MemoryLeg(CallInfo("1", "outbound", "agent", "+4930", "memory"), rate=16000, codec="G.722")


def test_an_outbound_call_waits_for_the_far_end() -> None:
    async def scenario() -> None:
        leg = outbound()
        events = leg.events()
        await leg.answer()
        assert not leg.connected
        leg.far.answer()
        assert await anext(events) == Connected("G.722", 16000)

    run_virtual(scenario())


@pytest.mark.parametrize("reason", [EndReason.BUSY, EndReason.UNREACHABLE, EndReason.NO_ANSWER])
def test_an_outbound_call_that_nobody_takes(reason: EndReason) -> None:
    async def scenario() -> None:
        leg = outbound()
        leg.far.end(reason, "486 Busy Here")
        leg.far.answer()
        assert [event async for event in leg.events()] == [Ended(reason, "486 Busy Here")]

    run_virtual(scenario())


def test_frames_leave_on_the_line_clock_and_silence_fills_the_rest() -> None:
    async def scenario() -> None:
        leg = MemoryLeg()
        await leg.answer()
        await asyncio.sleep(0.105)
        leg.write(frame(1))
        leg.write(frame(2))
        await asyncio.sleep(0.1)
        assert leg.buffered() == 0
        assert [(round(h.time, 3), int(h.samples[0])) for h in leg.far.heard] == [(0.12, 1), (0.14, 2)]
        sound = leg.far.sound()
        assert (sound[6 * FRAME], sound[7 * FRAME]) == (1, 2)
        assert np.count_nonzero(sound) == 2 * FRAME

    run_virtual(scenario())


def test_a_paced_caller_takes_as_long_as_the_words() -> None:
    async def scenario() -> None:
        leg = MemoryLeg()
        await leg.answer()
        start = asyncio.get_running_loop().time()
        await leg.far.speak_paced(np.arange(5 * FRAME + 40, dtype=np.int16))
        assert asyncio.get_running_loop().time() - start == pytest.approx(0.12)
        assert np.array_equal(leg.read(), np.arange(5 * FRAME + 40, dtype=np.int16))

    run_virtual(scenario())


def test_nothing_is_said_before_the_answer_or_after_the_end() -> None:
    async def scenario() -> None:
        leg = MemoryLeg()
        leg.write(frame(1))
        leg.far.speak(frame(1))
        assert (leg.buffered(), leg.read().size) == (0, 0)
        await leg.answer()
        leg.far.end()
        leg.write(frame(1))
        assert leg.buffered() == 0

    run_virtual(scenario())


def test_hold_is_seen_by_the_far_end() -> None:
    async def scenario() -> None:
        leg = MemoryLeg()
        await leg.hold()
        assert not leg.held
        await leg.answer()
        await leg.hold()
        assert leg.held
        await leg.resume()
        assert not leg.held

    run_virtual(scenario())
