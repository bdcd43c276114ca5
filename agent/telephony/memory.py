"""A leg without a network: the test, or a call inside one process, holds the other end.

Time is the event loop's, so whole calls run in virtual time. Like the SIP stack, the line takes one frame every 20 ms
from what was written, and sends silence when there is none.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import numpy as np

from agent.audio import FRAME_SECONDS, Samples, frame_samples, silence
from agent.telephony.leg import (
    CallInfo,
    Connected,
    Digit,
    Ended,
    EndReason,
    LegEvent,
    LegStats,
    RemoteHold,
    TransferFailed,
)
from agent.telephony.mailbox import Mailbox

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame that left the leg."""

    time: float
    """When it left, by the loop's clock."""
    samples: Samples


class MemoryLeg:
    """The agent's end; `far` is the other one. Inbound legs wait for `answer`, outbound ones for `far.answer`."""

    def __init__(self, info: CallInfo | None = None, rate: int = 8000, codec: str = "PCMU") -> None:
        self.info = info or CallInfo(f"memory-{next(_numbers)}", "inbound", "caller", "agent", "memory")
        self.rate = rate
        self.output_delay = 0.0
        self.received = 0
        self.far = FarEnd(self)
        self._codec = codec
        self._mailbox = Mailbox()
        self._incoming: list[Samples] = []
        self._outgoing: list[Samples] = []
        self._ticks: int | None = None
        self._first_tick = 0.0
        self._held = False
        self._departure: asyncio.TimerHandle | None = None

    def events(self) -> AsyncIterator[LegEvent]:
        """See Leg."""
        return aiter(self._mailbox)

    async def answer(self) -> None:
        """See Leg."""
        if self.info.direction == "inbound":
            self._connect()

    async def reject(self, reason: EndReason) -> None:
        """See Leg."""
        if not self.connected:
            self._end(reason)

    async def hang_up(self, reason: EndReason = EndReason.AGENT_HUNG_UP) -> None:
        """See Leg."""
        self._end(reason)

    async def hold(self) -> None:
        """See Leg."""
        self._held = self.connected

    async def resume(self) -> None:
        """See Leg."""
        self._held = False

    async def transfer(self, target: str) -> None:
        """See Leg. The far end's `transfer_answer` decides."""
        if self._mailbox.closed or not self.connected:
            raise TransferFailed("no call to transfer")
        self.far.transfers.append(target)
        if self.far.transfer_answer is not None:
            raise TransferFailed(self.far.transfer_answer)
        self._end(EndReason.TRANSFERRED)

    async def send_digits(self, digits: str) -> None:
        """See Leg."""
        if not self._mailbox.closed:
            self.far.digits += digits

    def read(self) -> Samples:
        """See Leg."""
        if not self._incoming:
            return silence(0)
        arrived = self._incoming[0] if len(self._incoming) == 1 else np.concatenate(self._incoming)
        self._incoming = []
        self.received += arrived.size
        return arrived

    def write(self, frame: Samples) -> None:
        """See Leg."""
        self._run_line()
        if self.connected and not self._mailbox.closed:
            self._outgoing.append(frame)

    def buffered(self) -> int:
        """See Leg."""
        self._run_line()
        return sum(frame.size for frame in self._outgoing)

    def clear(self) -> int:
        """See Leg."""
        thrown_away = self.buffered()
        self._outgoing = []
        if self._departure is not None:
            self._departure.cancel()
        return thrown_away

    def arrival(self, received: int, read: float) -> float:
        """See Leg: it has come since the last tick, on average in the middle of it."""
        return read - FRAME_SECONDS / 2

    def on_departure(self, ahead: int, tell: Callable[[float], None]) -> None:
        """See Leg."""
        if self._ticks is None or self._mailbox.closed:
            return
        frames, within = divmod(self.buffered() + ahead, frame_samples(self.rate))
        leaves = self._first_tick + (self._ticks + frames) * FRAME_SECONDS
        if self._departure is not None:
            self._departure.cancel()
        told = leaves + within / self.rate - FRAME_SECONDS / 2
        self._departure = asyncio.get_running_loop().call_at(leaves, tell, told)

    def stats(self) -> LegStats:
        """See Leg: a perfect line."""
        return LegStats(jitter_seconds=0.0, lost_packets=0, round_trip_seconds=0.0, late_frames=0)

    @property
    def connected(self) -> bool:
        """Whether the call was answered."""
        return self._ticks is not None

    @property
    def held(self) -> bool:
        """Whether the agent put the far end on hold."""
        return self._held

    def _connect(self) -> None:
        if self.connected or self._mailbox.closed:
            return
        self._ticks, self._first_tick = 0, asyncio.get_running_loop().time()
        self._mailbox.put(Connected(self._codec, self.rate))

    def _end(self, reason: EndReason, detail: str = "") -> None:
        self._run_line()
        self._outgoing = []
        self._mailbox.put(Ended(reason, detail))

    def _run_line(self) -> None:
        """Let everything leave that would have left by now."""
        if self._ticks is None or self._mailbox.closed:
            return
        now = asyncio.get_running_loop().time()
        while (leaves := self._first_tick + self._ticks * FRAME_SECONDS) <= now + 1e-6:
            self._ticks += 1
            if self._outgoing:
                self.far.heard.append(Heard(leaves, self._outgoing.pop(0)))


class FarEnd:
    """Who the agent talks to, as a test drives it."""

    def __init__(self, leg: MemoryLeg) -> None:
        self._leg = leg
        self.heard: list[Heard] = []
        """Frames the agent sent, oldest first; silence that was not written is not here."""
        self.digits = ""
        """Keys the agent pressed."""
        self.transfers: list[str] = []
        self.transfer_answer: str | None = None
        """SIP status line with which a transfer is refused; None accepts it."""

    def answer(self) -> None:
        """Take an outbound call."""
        if self._leg.info.direction == "outbound":
            self._leg._connect()

    def speak(self, samples: Samples) -> None:
        """Sound that arrives at the agent now. Mono, at the leg's rate."""
        if self._leg.connected:
            self._leg._incoming.append(samples)

    async def speak_paced(self, samples: Samples) -> None:
        """The same in frames of 20 ms, one every 20 ms; returns when the last one was spoken."""
        size = frame_samples(self._leg.rate)
        loop = asyncio.get_running_loop()
        start = loop.time()
        for index in range(0, samples.size, size):
            self.speak(samples[index : index + size])
            await asyncio.sleep(start + (index // size + 1) * FRAME_SECONDS - loop.time())

    def press(self, keys: str) -> None:
        """Press keys."""
        for key in keys:
            self._leg._mailbox.put(Digit(key))

    def hold(self, held: bool = True) -> None:
        """Put the agent on hold, or take it back."""
        self._leg._mailbox.put(RemoteHold(held))

    def end(self, reason: EndReason = EndReason.CALLER_HUNG_UP, detail: str = "") -> None:
        """Hang up, or let the line fail with another reason."""
        self._leg._end(reason, detail)

    def sound(self, until: float | None = None) -> Samples:
        """What the agent has sent since the call connected, silence included, up to the loop's time `until`."""
        self._leg._run_line()
        if not self._leg.connected:
            return silence(0)
        end = asyncio.get_running_loop().time() if until is None else until
        size = frame_samples(self._leg.rate)
        frames = int((end - self._leg._first_tick) / FRAME_SECONDS + 1e-6)
        line = silence(max(0, frames) * size)
        for heard in self.heard:
            index = round((heard.time - self._leg._first_tick) / FRAME_SECONDS) * size
            part = line[index : index + heard.samples.size]
            part[:] = heard.samples[: part.size]
        return line
