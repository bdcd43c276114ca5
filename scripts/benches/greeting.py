"""How soon the agent speaks once a caller has acknowledged its answer: whole calls to a service, at a raw peer."""

import asyncio
from collections.abc import Sequence

import numpy as np

from loadtest.g711 import PCMU, decode
from loadtest.rawphone import RawPhone
from loadtest.wire import AUDIBLE
from scripts.onecall import CallFailed
from scripts.stack import Stack

_PATIENCE = 3.0
"""Seconds without a sound of the agent after which there is no greeting."""


async def greetings(stack: Stack, calls: int) -> list[float]:
    """Seconds from the ACK to the first audible packet, for one call after the other. The peer stamps a packet when it
    reads it, so the figure is rather too long than too short. Raises CallFailed."""
    return [await _greeting(stack.sip_address[1]) for _ in range(calls)]


async def _greeting(port: int) -> float:
    loop = asyncio.get_running_loop()
    async with RawPhone(port) as phone:
        dialog = await phone.call()
        acknowledged = loop.time()
        phone.media.talk(dialog)  # silence, as a phone has it
        while (heard := audible_at(phone.media.arrived)) is None:
            if loop.time() - acknowledged > _PATIENCE:
                raise CallFailed(f"no greeting in {_PATIENCE:g} s")
            await asyncio.sleep(0.005)
        await phone.bye(dialog)
    return heard - acknowledged


def audible_at(packets: Sequence[tuple[float, bytes]]) -> float | None:
    """When the first packet came in which anything is louder than -50 dBFS; None while there is none."""
    for time, data in packets:
        samples = decode(data[12:], PCMU)
        if samples is not None and samples.size and int(np.abs(samples.astype(np.int32)).max()) >= AUDIBLE:
            return time
    return None
