"""An agent without a mind, for measurements of the telephone side: it takes every call and talks without end.

python -m loadtest.talker SETTINGS_AS_JSON
"""

import asyncio
import os
import sys

import numpy as np

from agent.audio import Samples
from agent.telephony.config import SipSettings
from agent.telephony.leg import Connected, Leg
from agent.telephony.pump import Pump
from agent.telephony.sip import SipRuntime

FRAME = 160


class Talker:
    """Says bursts of loud sound, and remembers when it was asked for the first frame of each."""

    def __init__(self, leg: Leg) -> None:
        self.leg = leg
        self.frames = 0
        self.handed: list[float] = []

    def on_frames(self, frames: Samples, first: int, now: float) -> None:
        """Not interested."""

    def next_frame(self, now: float) -> Samples | None:
        """A burst of 0.4 s while `frames` lasts."""
        if not self.frames:
            return None
        if self.frames == 20:
            self.handed.append(asyncio.get_running_loop().time())
        self.frames -= 1
        return np.full(FRAME, 8000, dtype=np.int16)


async def serve(chosen: SipSettings) -> None:
    """Take every call and talk without end, until killed; on the last core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    pump = Pump()

    async def take(leg: Leg) -> None:
        talker = Talker(leg)
        talker.frames = 1 << 30
        async for event in leg.events():
            if isinstance(event, Connected):
                pump.add(talker)
        pump.remove(talker)

    async with SipRuntime(chosen) as sip, asyncio.TaskGroup() as tasks:
        tasks.create_task(pump.run())
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        async for leg in sip.incoming():
            tasks.create_task(take(leg))
            await leg.answer()


if __name__ == "__main__":
    asyncio.run(serve(SipSettings.model_validate_json(sys.argv[1])))
