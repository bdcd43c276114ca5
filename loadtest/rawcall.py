"""A call between a raw RTP peer and a leg, in one process on one clock."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.telephony.config import SipSettings
from agent.telephony.leg import Connected, Leg
from agent.telephony.sip import SipRuntime
from loadtest.rawphone import LOCAL, Dialog, RawPhone


def settings(jitter_ms: str = "40-100") -> SipSettings:
    """G.711 on free ports of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOCAL, 0))
        port: int = probe.getsockname()[1]
    low = random.randrange(20_000, 50_000, 1000)
    values = {"sip_address": LOCAL, "sip_port": port, "rtp_ports": f"{low}-{low + 999}"}
    return SipSettings.model_validate({**values, "sip_codecs": ("pcmu",), "jitter_ms": jitter_ms})


@asynccontextmanager
async def connected(jitter_ms: str = "40-100") -> AsyncIterator[tuple[Leg, RawPhone, Dialog, float]]:
    """A call that is up, and when its ACK was sent."""
    chosen = settings(jitter_ms)
    async with SipRuntime(chosen) as sip, RawPhone(chosen.sip_port) as phone:
        calling = asyncio.create_task(phone.call())
        leg = await anext(sip.incoming())
        events = leg.events()
        await leg.answer()
        dialog = await calling
        acknowledged = asyncio.get_running_loop().time()
        async for event in events:
            if isinstance(event, Connected):
                break
        yield leg, phone, dialog, acknowledged
        await phone.bye(dialog)
