"""What every leg must do, run against the leg in memory and the one over SIP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import numpy as np
import pytest

from agent.audio import Samples
from agent.telephony.leg import Connected, Digit, Ended, EndReason, Leg, LegEvent, RemoteHold, TransferFailed
from agent.telephony.memory import MemoryLeg
from loadtest.rawphone import Dialog, RawPhone
from tests.waiting import LONG, until

FRAME = 160


class Rig(Protocol):
    """A leg with its far end."""

    leg: Leg

    async def answered(self) -> None: ...
    def speak(self, samples: Samples) -> None: ...
    async def press(self, keys: str) -> None: ...
    async def hold(self, held: bool) -> None: ...
    async def hang_up(self) -> None: ...
    async def give_up(self) -> None: ...
    def sound(self) -> Samples: ...
    def keys(self) -> list[str]: ...
    def answer_transfers(self, status: str) -> None: ...


class MemoryRig:
    def __init__(self) -> None:
        self.leg = MemoryLeg()
        self._speaking: asyncio.Task[None] | None = None

    async def answered(self) -> None:
        await self.leg.answer()

    def speak(self, samples: Samples) -> None:
        self._speaking = asyncio.ensure_future(self.leg.far.speak_paced(samples))

    async def press(self, keys: str) -> None:
        self.leg.far.press(keys)

    async def hold(self, held: bool) -> None:
        self.leg.far.hold(held)

    async def hang_up(self) -> None:
        self.leg.far.end()

    async def give_up(self) -> None:
        self.leg.far.end(EndReason.CANCELLED)

    def sound(self) -> Samples:
        return self.leg.far.sound()

    def keys(self) -> list[str]:
        return list(self.leg.far.digits)

    def answer_transfers(self, status: str) -> None:
        self.leg.far.transfer_answer = None if status.startswith("200") else status


class SipRig:
    def __init__(self, leg: Leg, phone: RawPhone, dialog: Dialog) -> None:
        self.leg, self._phone, self._dialog = leg, phone, dialog

    async def answered(self) -> None:
        await self.leg.answer()
        self._phone.confirm(self._dialog, await self._phone.response())
        self._phone.media.talk(self._dialog)

    def speak(self, samples: Samples) -> None:
        self._phone.media.talk(self._dialog, samples)

    async def press(self, keys: str) -> None:
        for key in keys:
            await self._phone.media.press(self._dialog, key)

    async def hold(self, held: bool) -> None:
        await self._phone.reinvite(self._dialog, "sendonly" if held else "sendrecv")

    async def hang_up(self) -> None:
        await self._phone.bye(self._dialog)

    async def give_up(self) -> None:
        self._phone.send(self._phone.request(self._dialog, "CANCEL", branch=self._dialog.branch))

    def sound(self) -> Samples:
        return self._phone.media.heard()

    def keys(self) -> list[str]:
        return self._phone.media.keys_heard()

    def answer_transfers(self, status: str) -> None:
        self._phone.auto_refer = status


@pytest.fixture(params=["memory", "sip"])
async def rig(request: pytest.FixtureRequest, start_sip: Callable) -> AsyncIterator[Rig]:
    """An unanswered inbound call."""
    if request.param == "memory":
        yield MemoryRig()
        return
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        dialog = phone.dialog()
        phone.send(phone.request(dialog, "INVITE", phone.sdp()))
        yield SipRig(await anext(sip.incoming()), phone, dialog)


async def take(events: AsyncIterator[LegEvent], count: int) -> list[LegEvent]:
    async with asyncio.timeout(LONG):
        return [await anext(events) for _ in range(count)]


def tone(seconds: float) -> Samples:
    return (9000 * np.sin(2 * np.pi * 500 * np.arange(int(seconds * 8000)) / 8000)).astype(np.int16)


async def test_the_life_of_a_call(rig: Rig) -> None:
    events = rig.leg.events()
    assert rig.leg.rate == 8000
    assert rig.leg.info.direction == "inbound"
    await rig.answered()
    (connected,) = await take(events, 1)
    assert isinstance(connected, Connected)
    assert connected.rate == rig.leg.rate == 8000
    await rig.hang_up()
    (ended,) = await take(events, 1)
    assert isinstance(ended, Ended)
    assert ended.reason is EndReason.CALLER_HUNG_UP
    with pytest.raises(StopAsyncIteration):
        await anext(events)


async def test_events_keep_their_order(rig: Rig) -> None:
    events = rig.leg.events()
    await rig.answered()
    await rig.press("19*")
    await rig.hold(True)
    await rig.hold(False)
    await rig.hang_up()
    got = await take(events, 7)
    assert got[1:6] == [Digit("1"), Digit("9"), Digit("*"), RemoteHold(True), RemoteHold(False)]
    assert isinstance(got[6], Ended)


async def test_the_callers_sound_arrives_whole(rig: Rig) -> None:
    await rig.answered()
    await take(rig.leg.events(), 1)
    rig.speak(tone(0.4))
    received: list[Samples] = []

    def loud() -> int:
        received.append(rig.leg.read())
        return int(np.count_nonzero(np.abs(np.concatenate(received)) > 500))

    await until(lambda: loud() >= 0.9 * np.count_nonzero(np.abs(tone(0.4)) > 500))


async def test_the_agents_sound_leaves_in_real_time(rig: Rig) -> None:
    await rig.answered()
    await take(rig.leg.events(), 1)
    sound = tone(0.4)
    took: list[float] = []
    while not took or took[-1] > 0.55:  # a busy machine may hold up the line, or us, but not every time
        assert len(took) < 10, f"0.4 s of sound took {took} s"
        start = asyncio.get_running_loop().time()
        for index in range(0, sound.size, FRAME):
            rig.leg.write(sound[index : index + FRAME])
        left, written = rig.leg.buffered(), asyncio.get_running_loop().time() - start
        assert sound.size - 2 * FRAME - written * 8000 <= left <= sound.size
        await until(lambda: rig.leg.buffered() == 0)
        took.append(asyncio.get_running_loop().time() - start)
        assert took[-1] >= 0.3
    loud = len(took) * np.count_nonzero(np.abs(sound) > 500)
    await until(lambda: np.count_nonzero(np.abs(rig.sound()) > 500) >= 0.9 * loud)


async def test_clear_counts_exactly_what_nobody_will_hear(rig: Rig) -> None:
    await rig.answered()
    await take(rig.leg.events(), 1)
    loud = np.full(FRAME, 9000, dtype=np.int16)

    def heard() -> int:
        rig.leg.buffered()  # lets the line in memory go on
        return int(np.count_nonzero(rig.sound() > 4000))

    for _ in range(100):
        rig.leg.write(loud)
    await until(lambda: heard() > 3 * FRAME)
    thrown_away = rig.leg.clear()
    assert rig.leg.buffered() == 0
    assert rig.leg.clear() == 0
    await until(lambda: heard() >= 100 * FRAME - thrown_away)
    await asyncio.sleep(0.15)  # if anything were still to come
    assert heard() == 100 * FRAME - thrown_away
    assert 0 < thrown_away < 100 * FRAME


async def test_what_is_written_right_after_clear_is_heard(rig: Rig) -> None:
    await rig.answered()
    await take(rig.leg.events(), 1)
    for _ in range(5):
        rig.leg.write(np.full(FRAME, 9000, dtype=np.int16))
    rig.leg.clear()
    for _ in range(3):
        rig.leg.write(np.full(FRAME, -9000, dtype=np.int16))
        assert rig.leg.buffered() > 0
        await asyncio.sleep(0.02)
    await until(lambda: rig.leg.buffered() == 0)
    await until(lambda: np.count_nonzero(rig.sound() < -4000) >= 3 * FRAME)
    await asyncio.sleep(0.05)  # if anything were still to come
    assert np.count_nonzero(rig.sound() < -4000) == 3 * FRAME


async def test_a_departure_is_told_once_and_lies_behind_what_was_written_before(rig: Rig) -> None:
    await rig.answered()
    await take(rig.leg.events(), 1)
    loud = np.full(FRAME, 9000, dtype=np.int16)
    told: list[float] = []
    for young in (True, False):  # at first the leg may not know the line's clock yet
        for _ in range(4):
            rig.leg.write(loud)
        asked = asyncio.get_running_loop().time()
        rig.leg.on_departure(FRAME, told.append)
        for _ in range(4):
            rig.leg.write(loud)
        await until(lambda: len(told) == (1 if young else 2))  # noqa: B023
        # Five frames lie before it, one of which the line may have taken at once.
        assert asked + 0.06 < told[-1] < asyncio.get_running_loop().time()
        await until(lambda: rig.leg.buffered() == 0)
        await asyncio.sleep(0.3)
    assert len(told) == 2


async def test_no_departure_is_told_of_what_is_thrown_away(rig: Rig) -> None:
    await rig.answered()
    await take(rig.leg.events(), 1)
    told: list[float] = []
    for _ in range(10):
        rig.leg.write(np.full(FRAME, 9000, dtype=np.int16))
    rig.leg.on_departure(0, told.append)
    rig.leg.write(np.full(FRAME, 9000, dtype=np.int16))
    rig.leg.clear()
    for _ in range(20):
        rig.leg.write(np.full(FRAME, 9000, dtype=np.int16))
    await until(lambda: rig.leg.buffered() == 0)
    await asyncio.sleep(0.1)  # if anything were still to come
    assert told == []


async def test_sound_has_arrived_before_it_is_read(rig: Rig) -> None:
    await rig.answered()
    await take(rig.leg.events(), 1)
    spoken = asyncio.get_running_loop().time()
    rig.speak(tone(0.4))
    received = 0

    def loud() -> bool:
        nonlocal received
        samples = rig.leg.read()
        received += samples.size
        return bool(np.any(np.abs(samples) > 500))

    await until(loud)
    assert rig.leg.received == received > 0
    read = asyncio.get_running_loop().time()
    assert spoken - 0.03 < rig.leg.arrival(received, read) < read


async def test_digits_are_sent(rig: Rig) -> None:
    await rig.answered()
    await take(rig.leg.events(), 1)
    await rig.leg.send_digits("12")
    await until(lambda: rig.keys() == ["1", "2"])


async def test_rejected(rig: Rig) -> None:
    await rig.leg.reject(EndReason.REFUSED)
    assert await take(rig.leg.events(), 1) == [Ended(EndReason.REFUSED)]


async def test_given_up_before_the_answer(rig: Rig) -> None:
    events = rig.leg.events()
    await rig.give_up()
    (ended,) = await take(events, 1)
    assert isinstance(ended, Ended)
    assert ended.reason is EndReason.CANCELLED
    await rig.leg.answer()
    assert rig.leg.buffered() == 0


async def test_the_agent_hangs_up_with_its_reason(rig: Rig) -> None:
    await rig.answered()
    events = rig.leg.events()
    await take(events, 1)
    await rig.leg.hang_up(EndReason.MAX_DURATION)
    assert await take(events, 1) == [Ended(EndReason.MAX_DURATION)]
    await rig.leg.hang_up()


async def test_hold_and_resume(rig: Rig) -> None:
    await rig.answered()
    await take(rig.leg.events(), 1)
    await rig.leg.hold()
    await rig.leg.resume()
    rig.leg.write(np.full(FRAME, 9000, dtype=np.int16))
    await until(lambda: bool(np.count_nonzero(rig.sound() > 4000) >= FRAME))


async def test_a_transfer_ends_the_call_or_gives_it_back(rig: Rig) -> None:
    await rig.answered()
    events = rig.leg.events()
    await take(events, 1)
    rig.answer_transfers("603 Decline")
    with pytest.raises(TransferFailed, match="603 Decline"):
        await rig.leg.transfer("sip:desk@127.0.0.1")
    rig.answer_transfers("200 OK")
    await rig.leg.transfer("sip:desk@127.0.0.1")
    (ended,) = await take(events, 1)
    assert isinstance(ended, Ended)
    assert ended.reason is EndReason.TRANSFERRED
    with pytest.raises(TransferFailed):
        await rig.leg.transfer("sip:desk@127.0.0.1")


async def test_nothing_works_after_the_end_and_nothing_breaks(rig: Rig) -> None:
    await rig.answered()
    events = rig.leg.events()
    await rig.hang_up()
    async with asyncio.timeout(LONG):
        seen = [event async for event in events]  # a BYE right after the ACK may overtake Connected
    assert isinstance(seen[-1], Ended)
    await rig.leg.answer()
    await rig.leg.reject(EndReason.BUSY)
    await rig.leg.hold()
    await rig.leg.resume()
    await rig.leg.send_digits("1")
    rig.leg.write(np.ones(FRAME, dtype=np.int16))
    told: list[float] = []
    rig.leg.on_departure(0, told.append)
    assert (rig.leg.read().size, rig.leg.buffered(), rig.leg.clear()) == (0, 0, 0)
    assert rig.leg.stats().lost_packets == 0
    await asyncio.sleep(0.1)  # if anything were still told
    assert told == []
