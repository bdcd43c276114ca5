"""One end of a call, whatever carries it: SIP, WebRTC, or memory in tests."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

from agent.audio import Samples


class EndReason(StrEnum):
    """Why a call ended. The same words stand in records, metrics and the API."""

    CALLER_HUNG_UP = "caller_hung_up"
    AGENT_HUNG_UP = "agent_hung_up"
    TRANSFERRED = "transferred"
    CANCELLED = "cancelled"
    """Given up before it was answered, by either side."""
    BUSY = "busy"
    DECLINED = "declined"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"
    """404, 480, 484, 604, or no route."""
    UNAUTHORIZED = "unauthorized"
    """401, 403, 407 after our credentials."""
    MEDIA_LOST = "media_lost"
    """No RTP for too long, or the dead-call watchdog."""
    MAX_DURATION = "max_duration"
    REFUSED = "refused"
    """By us: not allowed, no such number, or full."""
    DRAINED = "drained"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CallInfo:
    """What is known of a call before it is answered."""

    id: str
    """Ours; unguessable, safe in URLs and logs."""
    direction: Literal["inbound", "outbound"]
    caller: str
    """Number or SIP user of who calls."""
    called: str
    """Number or SIP user that was dialled (DID)."""
    kind: Literal["sip", "webrtc", "memory"]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Connected:
    """Answered (we sent or got the ACK) and audio can flow. `rate` holds from now on."""

    codec: str
    rate: int
    """8000 or 16000; wider codecs are resampled inside the leg."""


@dataclass(frozen=True, slots=True)
class Digit:
    """A DTMF key was pressed: 0-9, *, #, A-D."""

    key: str


@dataclass(frozen=True, slots=True)
class RemoteHold:
    """The far end put us on hold, or took us back."""

    held: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event."""

    reason: EndReason
    detail: str = ""
    """For the record, for example the SIP status line. Never a number."""


LegEvent = Connected | Digit | RemoteHold | Ended


@dataclass(frozen=True, slots=True)
class LegStats:
    """What the line has done so far."""

    jitter_seconds: float
    lost_packets: int
    round_trip_seconds: float
    """0 until RTCP has said."""
    late_frames: int


class TransferFailed(Exception):
    """The far end did not take the transfer; the call goes on. The text is the SIP status line."""


class Leg(Protocol):
    """All methods belong to the event loop's thread. Every method may be called after the end, and does nothing then
    (except `transfer`, which raises TransferFailed)."""

    @property
    def info(self) -> CallInfo: ...

    @property
    def rate(self) -> int:
        """Samples per second of `read` and `write`; 8000 until Connected says more."""

    @property
    def received(self) -> int:
        """Samples that `read` has given so far."""

    @property
    def output_delay(self) -> float:
        """Seconds from leaving `buffered` to the wire, on average."""

    def events(self) -> AsyncIterator[LegEvent]:
        """Everything that happens, in order; ends after Ended. One consumer."""

    async def answer(self) -> None: ...

    async def reject(self, reason: EndReason) -> None:
        """Refuse an unanswered inbound call (SIP: 486)."""

    async def hang_up(self, reason: EndReason = EndReason.AGENT_HUNG_UP) -> None:
        """BYE, CANCEL or nothing, as the state requires. `Ended(reason)` follows."""

    async def hold(self) -> None: ...

    async def resume(self) -> None: ...

    async def transfer(self, target: str) -> None:
        """Blind transfer (REFER) to a number or SIP address. Returns once the target answered: `Ended(TRANSFERRED)`
        follows. Raises TransferFailed, the call being as before, off hold."""

    async def send_digits(self, digits: str) -> None: ...

    # Called by the pump, every 20 ms.

    def read(self) -> Samples:
        """All samples that have arrived since the last call; may be empty."""

    def write(self, frame: Samples) -> None:
        """Send 20 ms. Must be called once per frame time; silence is sent as silence."""

    def buffered(self) -> int:
        """Samples written that have not left yet."""

    def clear(self) -> int:
        """Throw away what was written and has not left; returns how many samples that were."""

    def arrival(self, received: int, read: float) -> float:
        """When the packet came over the wire that ends with sample number `received` of what `read` has given, which
        gave it at the loop's time `read`. By the loop's clock, as are all times."""

    def on_departure(self, ahead: int, tell: Callable[[float], None]) -> None:
        """Call `tell`, once it has gone, with the time at which the sample went over the wire that will be written
        behind `ahead` others from now on. A packet's time is that of its middle; a sample's lies before or after it.
        Nothing is told where the sample is thrown away before it has left, nor of the sample asked for before."""

    def stats(self) -> LegStats: ...
