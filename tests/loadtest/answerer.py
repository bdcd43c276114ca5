"""A stand-in for the agent, in a process of its own: greets with noise, answers so long after the caller has finished,
falls silent when talked over. `python answerer.py PORT`; prints `ready`."""

import asyncio
import sys

import baresip
import numpy as np

from agent.audio import Samples
from loadtest.performance import FRAME, RATE, Ear, Output
from loadtest.phone import Conversation

PATIENCE = 0.3
CONFIG = """
audio_jitter_buffer_type fixed
audio_jitter_buffer_ms 40-100
audio_buffer 20-60
sip_listen 127.0.0.1:{port}
"""


class Stand:
    """One call."""

    def __init__(self) -> None:
        self._ear = Ear(PATIENCE)
        self._position = 0
        self._left = self._sound(1.0)

    def tick(self, heard: Samples) -> Output:
        self._position += FRAME
        event = self._ear.hear(heard, self._position)
        if event and event.kind == "agent_started":  # the caller, here
            self._left = self._sound(0)
        if event and event.kind == "agent_finished":
            self._left = self._sound(3.0)
        now, self._left = self._left[:FRAME], self._left[FRAME:]
        return Output(np.pad(now, (0, FRAME - len(now))))

    @staticmethod
    def _sound(seconds: float) -> Samples:
        return (np.random.default_rng(1).standard_normal(int(seconds * RATE)) * 3000).astype(np.int16)


async def main(port: int) -> None:
    runtime = baresip.Runtime()
    await runtime.start(
        baresip.Config(net_interface="127.0.0.1", max_concurrent_calls=4, extra_config_text=CONFIG.format(port=port))
    )
    account = baresip.Account("agent", "127.0.0.1", "", reg_interval=0, extra_params=("catchall=yes",))
    agent = await baresip.UserAgent.create(runtime, account)
    calls: set[asyncio.Task[None]] = set()

    async def talk(call: baresip.Call) -> None:
        await call.answer()
        await call.wait_established()
        await Conversation(call, Stand().tick).run()

    def take(call: baresip.Call) -> None:
        task = asyncio.ensure_future(talk(call))
        calls.add(task)
        task.add_done_callback(calls.discard)

    agent.on_incoming(take)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
