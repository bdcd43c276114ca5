"""Calls of the SIP leg with a raw phone, as tests make and hear them."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

import numpy as np

from agent.telephony.leg import Connected, LegEvent
from agent.telephony.sip import SipRuntime
from agent.telephony.sipleg import SipLeg
from loadtest.rawphone import Dialog, Message, RawPhone

Event = TypeVar("Event", bound=LegEvent)


async def next_of(events: AsyncIterator[LegEvent], kind: type[Event], timeout: float = 5.0) -> Event:
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


def tone(seconds: float, rate: int = 8000) -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    return (8000 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype(np.int16)


def pitch(samples: "np.ndarray[tuple[int], np.dtype[np.int16]]", rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(np.argmax(spectrum) * rate / samples.size)
