"""A telephone: baresip with its own clock, one frame at a time to whoever plays the caller.

Shares no code with the agent's telephony on purpose: what both got wrong would not be seen.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import baresip
import numpy as np

from agent.audio import Samples
from loadtest.performance import FRAME, RATE, Output

LEAD_SECONDS = 0.06
"""Written ahead of the transmit clock, so that a late wake-up leaves no hole."""
_READ_BYTES = 32_000
_MEDIA_TIMEOUT = 5.0
_CONFIG = """
audio_jitter_buffer_type fixed
audio_jitter_buffer_ms 40-100
audio_buffer 20-60
sip_listen {host}:0
"""


class NotAnswered(Exception):
    """The call was not taken; the text is the SIP status or what else went wrong."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What a call sounded like on the caller's clock; both at 8000 samples a second and equally long."""

    said: Samples
    heard: Samples
    began: float
    """Of time.monotonic(), as the other clocks of this machine: when sample 0 was written."""
    ended_by_us: bool


Player = Callable[[Samples], Output]
"""20 ms heard in, 20 ms to say out."""


@asynccontextmanager
async def phone(host: str = "127.0.0.1", user: str = "caller", max_calls: int = 1) -> AsyncIterator["Phone"]:
    """A telephone on a free port of `host`. One per process."""
    runtime = baresip.Runtime()
    config = baresip.Config(
        net_interface=host, max_concurrent_calls=max_calls, extra_config_text=_CONFIG.format(host=host)
    )
    await runtime.start(config)
    try:
        account = baresip.Account(user=user, domain=host, password="", reg_interval=0)
        agent = await baresip.UserAgent.create(runtime, account)
        yield Phone(runtime, agent)
    finally:
        await runtime.close()


class Phone:
    """Made by `phone`."""

    def __init__(self, runtime: Any, agent: Any) -> None:
        self._agent = agent
        self._early: set[int] = set()
        runtime.subscribe(self._notice)

    def _notice(self, event: Any) -> None:
        """The stack forgets who was answered before `dial` returned: on one machine that happens."""
        if event.event is baresip.Event.CALL_ESTABLISHED:
            self._early.add(event.call)

    async def call(self, target: str, player: Player, timeout: float = 15.0) -> Recording:
        """Call a SIP address and let `player` talk until either side hangs up. Raises NotAnswered."""
        try:
            call = await self._agent.dial(target)
            if call.handle not in self._early:
                await call.wait_established(timeout)
        except (baresip.BaresipError, ValueError) as error:
            raise NotAnswered(str(error)) from error
        return await Conversation(call, player).run()


class Conversation:
    """One call under way: paced by the transmit clock of the stack."""

    def __init__(self, call: Any, player: Player) -> None:
        self._call = call
        self._player = player
        self._said: list[Samples] = []
        self._heard: list[Samples] = []
        self._pending = np.zeros(0, dtype=np.int16)
        self._digits: set[asyncio.Task[None]] = set()

    async def run(self) -> Recording:
        loop = asyncio.get_running_loop()
        await self._media()
        began = loop.time()
        hung_up = False
        while not hung_up and self._call.state is not baresip.CallState.CLOSED:
            try:
                hung_up = self._tick()
            except baresip.AudioNotActive:
                break  # the far end has hung up
            except baresip.AudioRestarted:
                continue  # the agent's re-INVITE: the next operation uses the new streams
            await asyncio.sleep(0.01)
        if hung_up:
            with suppress(baresip.StaleHandleError):
                await self._call.hangup()
        for task in self._digits:
            task.cancel()
        return Recording(_joined(self._said), _joined(self._heard), began, hung_up)

    async def _media(self) -> None:
        deadline = asyncio.get_running_loop().time() + _MEDIA_TIMEOUT
        while True:
            with suppress(baresip.AudioNotActive):
                if self._call.audio.info().tx_ready:
                    return
            if asyncio.get_running_loop().time() > deadline:
                raise NotAnswered("answered, but no audio came up")
            await asyncio.sleep(0.01)

    def _tick(self) -> bool:
        """Top the transmit buffer up, a frame of the player at a time; True when the player hangs up."""
        audio = self._call.audio
        self._pending = np.concatenate([self._pending, np.frombuffer(audio.read(_READ_BYTES), dtype=np.int16)])
        missing = int(LEAD_SECONDS * RATE) - audio.info().tx_buffered // 2
        for _ in range(-(-missing // FRAME)):
            heard, self._pending = self._pending[:FRAME], self._pending[FRAME:]
            heard = np.pad(heard, (0, FRAME - len(heard)))
            out = self._player(heard)
            audio.write(out.frame.tobytes())
            self._said.append(out.frame.copy())
            self._heard.append(heard)
            if out.digits:
                self._press(out.digits)
            if out.hang_up:
                return True
        return False

    def _press(self, digits: str) -> None:
        task = asyncio.ensure_future(self._call.send_dtmf(digits))
        self._digits.add(task)
        task.add_done_callback(self._digits.discard)


def _joined(frames: list[Samples]) -> Samples:
    return np.concatenate(frames) if frames else np.zeros(0, dtype=np.int16)
