"""An agent in a process of its own that answers every call and echoes it: for what must not harm the tests' process.

As a module it is the helper that starts one; as a script it is the agent: `python agent_process.py SETTINGS_JSON`.
"""

import asyncio
import json
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.audio import Samples, frame_samples
from agent.telephony.config import SipSettings
from agent.telephony.leg import Connected, Digit, Leg
from agent.telephony.pump import Pump
from agent.telephony.sip import SipRuntime
from tests.agent.telephony.support import sip_settings
from tests.waiting import LONG

ROOT = Path(__file__).parents[3]


@dataclass
class AgentProcess:
    """A running agent."""

    settings: SipSettings
    process: asyncio.subprocess.Process

    @property
    def port(self) -> int:
        return self.settings.sip_port

    async def until(self, start: str) -> str:
        """The next line about its calls that begins so."""
        assert self.process.stdout is not None
        async with asyncio.timeout(LONG):
            while not (line := (await self.process.stdout.readline()).decode()).startswith(start):
                assert line, "the agent has stopped"
        return line.strip()

    async def stop(self) -> int:
        """Ask it to end; its exit code."""
        if self.process.returncode is None:
            self.process.terminate()
        async with asyncio.timeout(LONG):
            await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode


@asynccontextmanager
async def agent_process(dial: str = "", **changes: Any) -> AsyncIterator[AgentProcess]:
    """Start an agent with changed settings; it dials `dial` at once if that is given."""
    settings = sip_settings(**changes)
    given = json.dumps({**settings.model_dump(mode="json"), "sip_password": settings.sip_password.get_secret_value()})
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.agent.telephony.agent_process", given, dial,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    agent = AgentProcess(settings, process)
    try:
        await agent.until("ready")
        yield agent
    finally:
        await agent.stop()


class Echo:
    """Says what it hears, two frames later."""

    def __init__(self, leg: Leg) -> None:
        self.leg = leg
        self._frames: deque[Samples] = deque(maxlen=10)

    def on_frames(self, frames: Samples, first: int, now: float) -> None:
        size = frame_samples(self.leg.rate)
        self._frames.extend(frames[start : start + size] for start in range(0, frames.size, size))

    def next_frame(self, now: float) -> Samples | None:
        return self._frames.popleft() if self._frames else None


def say(*words: object) -> None:
    print(*words, flush=True)


async def serve(leg: Leg, pump: Pump) -> None:
    echo = Echo(leg)
    async for event in leg.events():
        say(type(event).__name__, event)
        if isinstance(event, Connected):
            pump.add(echo)
        elif isinstance(event, Digit):
            await leg.send_digits(event.key)
    pump.remove(echo)


async def main(settings: SipSettings, dial: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    pump = Pump()
    async with SipRuntime(settings) as sip, asyncio.TaskGroup() as tasks:

        async def accept() -> None:
            async for leg in sip.incoming():
                serving = tasks.create_task(serve(leg, pump))
                await leg.answer()
                running.append(serving)

        running = [tasks.create_task(pump.run()), tasks.create_task(accept())]
        if settings.sip_registrar and settings.sip_register:
            await sip.wait_registered()
        say("ready")
        if dial:
            running.append(tasks.create_task(serve(await sip.dial(dial), pump)))
        await stop.wait()
        for task in running:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(main(SipSettings(**json.loads(sys.argv[1])), sys.argv[2]))
