"""A SIP call behind the Leg interface."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import baresip
from baresip import BaresipError, Call, CallStats, Event, StackEvent, StaleHandleError

from agent.audio import FRAME_SECONDS, Samples
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
from agent.telephony.line import Line
from agent.telephony.mailbox import Mailbox
from agent.telephony.policy import DialRules, TargetRefused
from agent.telephony.reasons import end_reason
from agent.telephony.wirewatch import WireWatch

log = logging.getLogger(__name__)

OPEN_SECONDS = 2.0
"""How long the sound of an answered call may take to come up."""
ACKNOWLEDGE_SECONDS = 5.0
"""How long a caller may take to send PRACK before an answer is given up."""
REFRESH_SECONDS = 0.3
REFRESH_ATTEMPTS = 10
"""Another re-INVITE may be under way when we hold or resume; it is tried again this often, this many times."""
ANSWER_SECONDS = 2.0
"""How long hold and resume wait for the far end's answer. Without it the next request could overtake this one."""
CODECS = {8000: "G.711", 16000: "G.722", 48000: "Opus"}


class SipLeg:
    """Made by SipRuntime, which also hands it the events of its call."""

    def __init__(
        self, call: Call, info: CallInfo, rules: DialRules, ring_seconds: float, jitter_seconds: float
    ) -> None:
        self._call = call
        self.info = info
        self._rules = rules
        self._ring_seconds = ring_seconds
        self._mailbox = Mailbox()
        self._line = Line(call.audio)
        self._wire = WireWatch(self._line, call.call_id or "", jitter_seconds)
        self._watching: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._connected = False
        self._opening: asyncio.Task[None] | None = None
        self._agreed = asyncio.Event()
        self._stats = CallStats()
        self._born = self._alive = self._loop.time()
        call.on_rtcp(self._take_stats)

    @property
    def rate(self) -> int:
        """See Leg."""
        return self._line.rate

    @property
    def received(self) -> int:
        """See Leg."""
        return self._line.received

    @property
    def output_delay(self) -> float:
        """See Leg: half a frame, since the line's clock has any phase against ours, and what the stack takes."""
        return FRAME_SECONDS / 2 + self._wire.send_delay

    @property
    def ended(self) -> bool:
        """Whether Ended was sent."""
        return self._mailbox.closed

    def events(self) -> AsyncIterator[LegEvent]:
        """See Leg."""
        return aiter(self._mailbox)

    async def answer(self) -> None:
        """See Leg."""
        if self.info.direction == "inbound" and not self.ended:
            await self._attempt(self._answer, "answer")

    async def reject(self, reason: EndReason) -> None:
        """See Leg."""
        if not self.ended and not self._connected:
            await self._finish(self._call.reject, reason)

    async def hang_up(self, reason: EndReason = EndReason.AGENT_HUNG_UP) -> None:
        """See Leg."""
        if self.ended:
            return
        if not self._connected and reason is EndReason.AGENT_HUNG_UP:
            reason = EndReason.CANCELLED
        await self._finish(self._call.hangup, reason)

    async def hold(self) -> None:
        """See Leg."""
        await self._refresh(self._call.hold)

    async def resume(self) -> None:
        """See Leg."""
        await self._refresh(self._call.resume)

    async def transfer(self, target: str) -> None:
        """See Leg."""
        if self.ended or not self._connected:
            raise TransferFailed("no call to transfer")
        try:
            address = self._rules.resolve(target)
        except TargetRefused as refused:
            raise TransferFailed(str(refused)) from None
        await self.hold()
        try:
            await self._call.transfer(address, timeout=self._ring_seconds + 5)
        except baresip.TransferFailed as failed:
            await self.resume()
            line = f"{failed.status} {failed.reason}" if failed.status else str(failed)
            raise TransferFailed(line) from None
        except BaresipError as error:
            await self.resume()
            raise TransferFailed(str(error)) from None

    async def send_digits(self, digits: str) -> None:
        """See Leg. Takes 0.22 s a key. Raises ValueError for what is no key."""
        if digits and self._connected and not self.ended:
            await self._attempt(lambda: self._call.send_dtmf(digits), "digits")

    def read(self) -> Samples:
        """See Leg."""
        samples = self._line.read()
        if samples.size:
            self._alive = self._wire.read_at = self._loop.time()
        return samples

    def write(self, frame: Samples) -> None:
        """See Leg."""
        self._line.write(frame, self._loop.time())

    def buffered(self) -> int:
        """See Leg."""
        return self._line.buffered(self._loop.time())

    def clear(self) -> int:
        """See Leg."""
        self._wire.cleared()
        return self._line.clear(self._loop.time())

    def arrival(self, received: int, read: float) -> float:
        """See Leg."""
        return self._wire.arrival(received, read)

    def on_departure(self, ahead: int, tell: Callable[[float], None]) -> None:
        """See Leg."""
        self._wire.on_departure(ahead, tell)

    def stats(self) -> LegStats:
        """See Leg."""
        return LegStats(
            jitter_seconds=self._stats.rx_jitter_ms / 1000,
            lost_packets=max(0, self._stats.rx_lost),
            round_trip_seconds=self._stats.rtt_ms / 1000,
            late_frames=self._stats.jbuf_late or 0,
        )

    def starved_frames(self) -> int:
        """Frames that left incomplete: the writer was late in the middle of speech."""
        return self._line.starved()

    def on_stack_event(self, event: StackEvent) -> None:
        """Take an event of this call."""
        self._alive = self._loop.time()
        match event.event:
            case Event.CALL_ESTABLISHED:
                self._open()
            case Event.CALL_DTMF_START if event.text:
                self._mailbox.put(Digit(event.text.upper()[:1]))
            case Event.CALL_HOLD | Event.CALL_RESUME if self._connected:
                self._mailbox.put(RemoteHold(event.event is Event.CALL_HOLD))
            case Event.CALL_REMOTE_SDP if event.text == "answer":
                self._agreed.set()
            case Event.CALL_CLOSED:
                text = event.text or ""
                self.end(end_reason(text, self.info.direction, self._connected), text)

    def _take_stats(self, stats: CallStats) -> None:
        self._stats = stats

    async def check(self, now: float, dead_seconds: float) -> None:
        """End the call if it has rung for too long, or if nothing was heard of the far end for `dead_seconds`."""
        if self.ended:
            return
        if self._connected and now - self._alive > dead_seconds:
            await self.hang_up(EndReason.MEDIA_LOST)
        elif not self._connected and self.info.direction == "outbound" and now - self._born > self._ring_seconds:
            await self.hang_up(EndReason.NO_ANSWER)

    def end(self, reason: EndReason, detail: str = "") -> None:
        """Send Ended, once."""
        if self._opening is not None:
            self._opening.cancel()
        if self._watching is not None:
            self._watching.cancel()
        self._wire.close()
        self._mailbox.put(Ended(reason, detail))

    def _open(self) -> None:
        if self._connected or self.ended:
            return
        if not self._line.open():
            self._opening = self._opening or self._loop.create_task(self._open_later())
            return
        self._connected = True
        self._watching = self._loop.create_task(self._wire.run())
        rate = self._line.codec_rate
        self._mailbox.put(Connected(CODECS.get(rate, f"{rate} Hz"), self.rate))

    async def _answer(self) -> None:
        """Answer, as soon as the caller has acknowledged the ringing where it must (100rel): until then it fails."""
        deadline = self._loop.time() + ACKNOWLEDGE_SECONDS
        while True:
            try:
                await self._call.answer()
            except StaleHandleError:
                raise
            except BaresipError:
                if self.ended or self._loop.time() > deadline:
                    raise
                await asyncio.sleep(0.01)
            else:
                return

    async def _open_later(self) -> None:
        deadline = self._loop.time() + OPEN_SECONDS
        while not self._connected and not self.ended:
            if self._loop.time() > deadline:
                self._opening = None
                log.error("an answered call has no sound: no codec in common, or no free RTP port")
                await self._finish(self._call.hangup, EndReason.FAILED)
                return
            await asyncio.sleep(0.002)
            self._open()

    async def _finish(self, act: Callable[[], Awaitable[None]], reason: EndReason) -> None:
        self.end(reason)
        await self._attempt(act, "end")

    async def _attempt(self, act: Callable[[], Awaitable[None]], what: str) -> None:
        """Do it; a call that is gone already is no error, and a refusal of the stack is not worth the process."""
        try:
            await act()
        except StaleHandleError:
            return
        except BaresipError as error:
            log.warning("the SIP stack refused", extra={"what": what, "error": str(error)})

    async def _refresh(self, act: Callable[[], Awaitable[None]]) -> None:
        """Hold or resume, and wait for the answer."""
        error = ""
        for _ in range(REFRESH_ATTEMPTS):
            if self.ended or not self._connected:
                return
            self._agreed.clear()
            try:
                await act()
                await asyncio.wait_for(self._agreed.wait(), ANSWER_SECONDS)
            except (StaleHandleError, TimeoutError):
                return
            except BaresipError as refusal:
                error = str(refusal)
            else:
                return
            await asyncio.sleep(REFRESH_SECONDS)
        log.warning("hold or resume failed", extra={"error": error})
