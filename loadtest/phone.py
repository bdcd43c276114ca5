"""A telephone: baresip with its own clock, one frame at a time to whoever plays the caller.

Shares no code with the agent's telephony on purpose: what both got wrong would not be seen.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
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
sip_listen {host}:{port}
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
async def phone(
    host: str = "127.0.0.1", user: str = "caller", max_calls: int = 1, port: int = 0
) -> AsyncIterator["Phone"]:
    """A telephone on a free port of `host`, or on `port`; it takes calls to anybody. One per process. It calls whom the
    far end hands it on to, so a call may have a second one beside it for a moment."""
    runtime = baresip.Runtime()
    config = baresip.Config(
        net_interface=host, max_concurrent_calls=2 * max_calls, extra_config_text=_CONFIG.format(host=host, port=port)
    )
    await runtime.start(config)
    try:
        account = baresip.Account(user=user, domain=host, password="", reg_interval=0, extra_params=("catchall=yes",))
        agent = await baresip.UserAgent.create(runtime, account, transfer_policy="auto")
        yield Phone(runtime, agent)
    finally:
        await runtime.close()


class Phone:
    """Made by `phone`."""

    def __init__(self, runtime: Any, agent: Any) -> None:
        self._agent = agent
        self._early: set[int] = set()
        self._incoming: asyncio.Queue[Any] = asyncio.Queue()
        self._handed: list[Any] = []
        runtime.subscribe(self._notice)
        agent.on_transfer_call(self._handed.append)
        agent.on_incoming(self._incoming.put_nowait)

    def _notice(self, event: Any) -> None:
        """The stack forgets who was answered before `dial` returned: on one machine that happens."""
        if event.event is baresip.Event.CALL_ESTABLISHED:
            self._early.add(event.call)

    async def call(self, target: str, player: Player, timeout: float = 15.0) -> Recording:
        """Call a SIP address and let `player` talk until either side hangs up; where the far end hands the call on, to
        whoever takes it. Raises NotAnswered."""
        try:
            call = await self._agent.dial(target)
            if call.handle not in self._early:
                await call.wait_established(timeout)
        except (baresip.BaresipError, ValueError) as error:
            raise NotAnswered(str(error)) from error
        return await Conversation(call, player, self._handed).run()

    async def take(self, player: Player, timeout: float = 15.0) -> Recording:
        """Answer the next call that comes in, and let `player` talk as in `call`. Raises NotAnswered."""
        try:
            call = await asyncio.wait_for(self._incoming.get(), timeout)
            await call.answer()
            if call.handle not in self._early:
                await call.wait_established(timeout)
        except TimeoutError:
            raise NotAnswered(f"nobody called in {timeout:g} s") from None
        except baresip.BaresipError as error:
            raise NotAnswered(str(error)) from error
        return await Conversation(call, player, self._handed).run()


class Conversation:
    """One call under way: paced by the transmit clock of the stack."""

    def __init__(self, call: Any, player: Player, handed: list[Any] | None = None) -> None:
        """`handed`: calls that the stack has begun because the far end asked for it; the newest takes over."""
        self._call = call
        self._player = player
        self._handed = handed if handed is not None else []
        self._said: list[Samples] = []
        self._heard: list[Samples] = []
        self._pending = np.zeros(0, dtype=np.int16)
        self._doing: set[asyncio.Task[None]] = set()

    async def run(self) -> Recording:
        loop = asyncio.get_running_loop()
        await self._media()
        began = loop.time()
        hung_up = False
        while not hung_up and await self._goes_on():
            try:
                hung_up = self._tick()
            except baresip.AudioNotActive:
                self._step(np.zeros(FRAME, dtype=np.int16))  # on hold, or over: the clock goes on
                await asyncio.sleep(FRAME / RATE)
            except baresip.AudioRestarted:
                continue  # a re-INVITE: the next operation uses the new streams
            await asyncio.sleep(0.01)
        if hung_up:
            with suppress(baresip.StaleHandleError):
                await self._call.hangup()
        for task in self._doing:
            task.cancel()
        return Recording(_joined(self._said), _joined(self._heard), began, hung_up)

    async def _goes_on(self) -> bool:
        """Whether there is somebody on the line."""
        if self._call.state is not baresip.CallState.CLOSED:
            return True
        while self._handed:
            self._call = self._handed.pop()
            if self._call.state is not baresip.CallState.CLOSED:
                await self._media()
                return True
        return False

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
            out = self._step(np.pad(heard, (0, FRAME - len(heard))))
            if out.hang_up:
                return True
            audio.write(out.frame.tobytes())
        return False

    def _step(self, heard: Samples) -> Output:
        """20 ms of the player."""
        out = self._player(heard)
        self._said.append(out.frame.copy())
        self._heard.append(heard)
        if out.digits:
            self._do(self._call.send_dtmf(out.digits))
        if out.hold is not None:
            self._do(self._call.hold() if out.hold else self._call.resume())
        return out

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(what)
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)


def _joined(frames: list[Samples]) -> Samples:
    return np.concatenate(frames) if frames else np.zeros(0, dtype=np.int16)
