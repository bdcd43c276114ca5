"""Calls of the SIP leg with a raw phone, as tests make and hear them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import numpy as np

from agent.audio import Samples, frame_samples
from agent.telephony.leg import Connected, Leg, LegEvent
from agent.telephony.sip import SipRuntime
from agent.telephony.sipleg import SipLeg
from loadtest.rawphone import Dialog, Message, RawPhone
from tests.waiting import LONG, until

Event = TypeVar("Event", bound=LegEvent)


async def next_of(events: AsyncIterator[LegEvent], kind: type[Event], timeout: float = LONG) -> Event:
    async with asyncio.timeout(timeout):
        async for event in events:
            if isinstance(event, kind):
                return event
    raise AssertionError(f"the call ended without {kind.__name__}")


async def incoming(sip: SipRuntime, phone: RawPhone, **call: str) -> tuple[SipLeg, AsyncIterator[LegEvent], Dialog]:
    """An answered inbound call."""
    calling = asyncio.create_task(phone.call(**call))
    leg = await anext(sip.incoming())
    await leg.answer()
    events = leg.events()
    await next_of(events, Connected)
    return leg, events, await calling


async def outgoing(sip: SipRuntime, phone: RawPhone) -> tuple[SipLeg, AsyncIterator[LegEvent], Message]:
    """A dialled call whose INVITE has arrived at the phone."""
    leg = await sip.dial(f"sip:{phone.user}@127.0.0.1:{phone.port}")
    return leg, leg.events(), await phone.receive(lambda m: m.method == "INVITE")


def tone(seconds: float, rate: int = 8000) -> Samples:
    """440 Hz."""
    return (8000 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype(np.int16)


@asynccontextmanager
async def saying_tone(leg: Leg) -> AsyncIterator[None]:
    """The agent says `tone` for as long as the context, a fifth of a second ahead of the line."""
    size = frame_samples(leg.rate)
    sound = tone(60, leg.rate)

    async def speak() -> None:
        for start in range(0, sound.size, size):
            leg.write(sound[start : start + size])
            while leg.buffered() > 10 * size:  # noqa: ASYNC110 - it is the line that takes it away
                await asyncio.sleep(0.01)

    speaking = asyncio.create_task(speak())
    try:
        yield
    finally:
        speaking.cancel()


def sound_from(leg: Leg) -> Callable[[], Samples]:
    """All that has come from the caller since now, each time it is called."""
    leg.read()
    arrived: list[Samples] = []

    def so_far() -> Samples:
        arrived.append(leg.read())
        return np.concatenate(arrived)

    return so_far


async def hears_tone(sound: Callable[[], Samples], rate: int = 8000) -> None:
    """Wait until the newest 0.4 s of `sound()` is `tone`: a busy machine leaves gaps, but not for ever."""
    heard: Samples = np.zeros(0, np.int16)

    def clean() -> bool:
        nonlocal heard
        heard = sound()[-2 * rate // 5 :]
        return heard.size == 2 * rate // 5 and np.mean(np.abs(heard) > 200) > 0.9 and abs(_pitch(heard, rate) - 440) < 4

    try:
        await until(clean, 30)
    except TimeoutError:
        raise AssertionError(f"no tone in {heard.size} samples, mostly {_pitch(heard, rate)} Hz") from None


def _pitch(samples: Samples, rate: int) -> float:
    """The strongest frequency in Hz."""
    if not samples.size:
        return 0.0
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(np.argmax(spectrum) * rate / samples.size)
