"""PURE: the clocks of one call's packets, from looks at the counters of the stack a few milliseconds apart.

Both directions go in steps of a packet. A packet that arrives waits in the jitter buffer until it is decoded; a frame
that the transmitter takes from us waits for the sending thread. When the counters step is seen by looking often for
little more than a packet's time; what lies between two counters, in packets and in time, is the wait.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean, median

LONGEST_STEP = 0.006
"""Seconds between two looks beyond which a step between them is not placed: the event loop was held up."""
REMEMBERED = 9
"""Waits of which the middle one counts: a look may have fallen on a loss, a stall, or an early packet..."""
ENOUGH = 3
"""...unless so many in a row say that it has changed..."""
CHANGED = 0.008
"""...by more than these seconds, all the same way."""
NEAR = 0.003
"""Seconds from a beat within which a counter may show either side of it."""
LEAST_WAIT, LONGEST_WAIT = -0.003, 0.1
"""Seconds from transmitter to wire; what lies beyond is a miscount."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What the stack tells of the packets of one call."""

    sent: int
    """Packets that have left."""
    queued: int
    """Packets in the jitter buffer."""
    arrived: float | None
    """When the newest packet came; None where the kernel does not say."""


@dataclass(frozen=True, slots=True)
class Look:
    """The counters at one moment."""

    time: float
    received: int
    """Samples decoded so far."""
    taken: int
    """Frames that the transmitter has taken, silent ones too."""
    packets: Counters | None
    """None where the stack does not show them."""


@dataclass(frozen=True, slots=True)
class Receiving:
    """How sound comes in. Sample number `received` was decoded at `decoded`, the last one of its packet."""

    decoded: float
    received: int
    packet: float
    """Seconds of a packet."""
    rate: int
    """Samples a second."""
    wait: float | None
    """Seconds from a packet's arrival to its samples; None where it cannot be seen."""


@dataclass(frozen=True, slots=True)
class Sending:
    """How sound goes out. At `taken` the transmitter took frame number `frames`."""

    taken: float
    frames: int
    wait: float | None
    """Seconds from there to the packet, without the frames that `behind` tells; None where it cannot be seen."""
    behind: int
    """Frames taken and not sent when both had stepped, if counting began together."""


def receiving(looks: Sequence[Look], rate: int) -> Receiving | None:
    """None where no packet was decoded meanwhile, or nobody looked in time."""
    step = _step(looks, lambda look: look.received)
    if step is None:
        return None
    decoded, before, after = step
    size = after.received - before.received
    waits: dict[float, list[float]] = {}  # of each packet: one that came early is the newest for longer, and seen more
    for look in looks:
        if (seen := look.packets) is not None and seen.arrived is not None:
            newest = (look.received + seen.queued * size - after.received) / rate
            waits.setdefault(round(seen.arrived, 3), []).append(decoded + newest - seen.arrived)
    wait = mean(median(found) for found in waits.values()) if waits else None
    return Receiving(decoded, after.received, size / rate, rate, wait)


def sending(looks: Sequence[Look], ptime: float) -> Sending | None:
    """None where no frame was taken meanwhile, or nobody looked in time."""
    step = _step(looks, lambda look: look.taken)
    if step is None:
        return None
    taken, _, after = step
    left = _step(looks, lambda look: look.packets.sent if look.packets else 0)
    if left is None or left[2].packets is None:
        return Sending(taken, after.taken, None, 0)
    # The sending thread has a clock of its own with the same beat.
    wait = (left[0] - taken) % ptime
    frames = after.taken + round((left[0] - wait - taken) / ptime)
    return Sending(taken, after.taken, wait, frames - left[2].packets.sent)


class _Waits:
    """The last few, with what is known of the stack on average until there are any."""

    def __init__(self, usual: float) -> None:
        self._usual = usual
        self._seen: deque[float] = deque(maxlen=REMEMBERED)

    def _add(self, wait: float) -> None:
        self._seen.append(wait)
        newest = list(self._seen)[-ENOUGH:]
        usual = median(self._seen)
        if min(newest) > usual + CHANGED or max(newest) < usual - CHANGED:
            self._seen = deque(newest, maxlen=REMEMBERED)

    @property
    def delay(self) -> float:
        """Seconds, as a rule."""
        return median(self._seen) if self._seen else self._usual

    @property
    def newest(self) -> float:
        """Seconds, when it was looked at last."""
        return self._seen[-1] if self._seen else self._usual

    @property
    def doubtful(self) -> bool:
        """The newest wait is not like those before: another look tells whether that was a stall or has changed."""
        return abs(self.newest - self.delay) > CHANGED


class WayIn(_Waits):
    """From the wire to decoded sound, look by look."""

    def __init__(self, usual: float) -> None:
        super().__init__(usual)
        self.clock: Receiving | None = None
        self._lag = 0.0  # seconds from decoding to reading, as it was at the last look
        self._lossy = False  # packets were lost between the last two looks

    def take(self, found: Receiving, received: int, read: float) -> None:
        """Another look, after which sample number `received` was the last one read, at `read`."""
        if (before := self.clock) is not None:
            silent = found.decoded - before.decoded - (found.received - before.received) / found.rate
            self._lossy = silent > found.packet / 2
        self.clock = found
        lag = read - found.decoded - (received - found.received) / found.rate
        if abs(lag) < found.packet + NEAR:
            self._lag = lag
        if found.wait is not None:
            self._add(found.wait)

    def decoded(self, received: int, read: float) -> float | None:
        """When sample number `received` was decoded, the last one of a packet, which was read at `read`.

        Samples count the time, but lost packets are not among them, and a buffer may let packets wait longer from some
        time on. So whole packets are added or taken away: where packets are lost, so that reading lags behind decoding
        as usual; else only where it could not be otherwise, since a tick may be late.
        """
        if self.clock is None:
            return None
        packet = self.clock.packet
        at = self.clock.decoded + (received - self.clock.received) / self.clock.rate
        if self._lossy or not -NEAR < read - at < packet + NEAR:
            at += round((read - self._lag - at) / packet) * packet
        return at


class WayOut(_Waits):
    """From the transmitter to the wire, look by look."""

    def __init__(self, usual: float, ptime: float) -> None:
        super().__init__(usual)
        self.clock: Sending | None = None
        self._ptime = ptime
        self._uncounted = 0
        """Frames by which the counters of frames and of packets have drifted apart: keys are packets too, and new
        streams count frames from 0."""

    def take(self, found: Sending) -> None:
        """Another look."""
        before, self.clock = self.clock, found
        if before is not None:
            # The transmitter takes a frame with every beat; its own count errs by frames of which half was there.
            beats = round((found.taken - before.taken) / self._ptime)
            self._uncounted += before.frames + beats - found.frames
        if found.wait is None:
            return
        waited = found.wait + (found.behind + self._uncounted) * self._ptime
        if before is not None and not LEAST_WAIT < waited < LONGEST_WAIT:
            missing = round((self.delay - waited) / self._ptime)
            self._uncounted += missing
            waited += missing * self._ptime
        self._add(waited)


def all_stepped(looks: Sequence[Look]) -> bool:
    """Nothing more is to be learned by looking on."""
    return (
        _step(looks, lambda look: look.received) is not None
        and _step(looks, lambda look: look.taken) is not None
        and (
            looks[-1].packets is None or _step(looks, lambda look: look.packets.sent if look.packets else 0) is not None
        )
    )


def _step(looks: Sequence[Look], counter: Callable[[Look], int]) -> tuple[float, Look, Look] | None:
    """Where a counter rose, as closely as it was seen: the moment, the look before, the look after."""
    steps = [
        (after.time - before.time, before, after)
        for before, after in pairwise(looks)
        if counter(after) > counter(before)
    ]
    closest = min(steps, key=lambda step: step[0], default=None)
    if closest is None or closest[0] > LONGEST_STEP:
        return None
    _, before, after = closest
    return (before.time + after.time) / 2, before, after


def next_beat(anchor: float, beat: float, after: float) -> float:
    """The first of the moments `anchor` + n × `beat` that lies after another."""
    return anchor + ((after - anchor) // beat + 1) * beat
