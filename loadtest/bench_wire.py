"""How well a leg tells when sound passes the wire, against a raw peer that knows.

Many short calls, because what is constant in a call (phases of clocks, what a buffer happened to begin with) differs
from call to call. Every packet in carries its number as a level; the way out is measured at the beginning of bursts.
"""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from agent.audio import FRAME_SECONDS, Samples
from agent.telephony.leg import Leg
from agent.telephony.pump import Pump
from loadtest.g711 import decode
from loadtest.rawcall import connected
from loadtest.rawmedia import encode_mulaw
from loadtest.rawphone import RawPhone
from loadtest.report import percentile

FRAME = 160
LOUD = 2000
BURST_FRAMES, BURST_EVERY = 10, 0.53
SETTLE_SECONDS = 1.5
"""Before it the leg has had no look at its clocks, or one; answers come later."""


def _decoded_levels() -> Samples:
    levels = decode(bytes(range(256)), 0)
    assert levels is not None
    return np.unique(levels[levels > 0])


LEVELS = [int(level) for level in _decoded_levels()[::2]]
"""Samples that G.711 carries unchanged: every second positive one."""


@dataclass(frozen=True)
class Line:
    """What a network, or a phone, does to packets."""

    name: str
    loss: float = 0.0
    jitter: float = 0.0
    """Seconds; every packet is delayed by up to this much."""
    pause: float = 0.0
    """Seconds by which the phone falls behind in the middle of the call: as long as that it sends nothing."""


LINES = (
    Line("clean"),
    Line("phone falls 20 ms behind", pause=0.02),
    Line("5 % loss, 30 ms jitter", loss=0.05, jitter=0.03),
)


@dataclass
class Errors:
    """Seconds that a leg's times lie after the true ones."""

    into: list[float] = field(default_factory=list)
    out: list[float] = field(default_factory=list)


@dataclass(eq=False)
class _Clerk:
    """A member of the pump: notes when the leg says that packets came and went."""

    leg: Leg
    arrivals: list[tuple[int, float]] = field(default_factory=list)
    """Level of a packet, and its time."""
    departures: list[float] = field(default_factory=list)
    frames: int = 0

    def on_frames(self, frames: Samples, first: int, now: float) -> None:
        """Whole packets, since the codec is G.711."""
        last = self.leg.arrival(self.leg.received, now)
        for number, frame in enumerate(reversed(frames.reshape(-1, FRAME))):
            if np.ptp(frame) == 0:  # not made up
                self.arrivals.append((int(frame[0]), last - number * FRAME_SECONDS))

    def next_frame(self, now: float) -> Samples | None:
        """A burst while `frames` lasts."""
        if not self.frames:
            return None
        if self.frames == BURST_FRAMES:
            self.leg.on_departure(0, self.departures.append)
        self.frames -= 1
        return np.full(FRAME, 8000, dtype=np.int16)


async def measure(line: Line, calls: int, seconds: float) -> Errors:
    """Of every packet and of every burst, over some calls."""
    errors = Errors()
    for call in range(calls):
        async with connected() as (leg, phone, dialog, _):
            clerk = _Clerk(leg)
            pump = Pump()
            await asyncio.sleep(random.random() * FRAME_SECONDS)  # the pump ran before the call began
            pump.add(clerk)
            running = asyncio.create_task(pump.run())
            sent = _send(phone, dialog.media, line, seconds, random.Random(call))
            loop = asyncio.get_running_loop()
            begin = loop.time()
            while (passed := loop.time() - begin) < seconds:
                if passed > SETTLE_SECONDS:
                    clerk.frames = BURST_FRAMES
                await asyncio.sleep(BURST_EVERY + random.random() * FRAME_SECONDS)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            errors.into += _into(clerk.arrivals, sent, begin + SETTLE_SECONDS)
            errors.out += _out(clerk.departures, phone)
    return errors


def _send(
    phone: RawPhone, target: tuple[str, int], line: Line, seconds: float, chance: random.Random
) -> list[tuple[int, float]]:
    """Schedule the packets of a call; returns their levels with the times at which they go, as they go."""
    loop = asyncio.get_running_loop()
    sent: list[tuple[int, float]] = []

    def go(level: int, packet: bytes) -> None:
        phone.media.send(packet, target)
        sent.append((level, loop.time()))

    start = loop.time() + 0.02
    for index in range(int(seconds / FRAME_SECONDS)):
        level = LEVELS[index % len(LEVELS)]
        packet = phone.media.packet(encode_mulaw(np.full(FRAME, level, dtype=np.int16)))
        due = start + index * FRAME_SECONDS + (line.pause if index * FRAME_SECONDS > seconds / 2 else 0.0)
        if chance.random() >= line.loss:
            loop.call_at(due + chance.random() * line.jitter, go, level, packet)
    return sent


def _into(told: Sequence[tuple[int, float]], sent: Sequence[tuple[int, float]], since: float) -> list[float]:
    errors = []
    for level, time in told:
        same = [true for kind, true in sent if kind == level and abs(time - true) < 0.3]
        if same and time > since:
            errors.append(time - same[0])
    return errors


def _out(told: Sequence[float], phone: RawPhone) -> list[float]:
    """A sample's time is its packet's for the sample in the middle; those asked for were the first."""
    loud = [(time, is_loud(data)) for time, data in phone.media.arrived if len(data) == 172]
    starts = [time for (_, before), (time, now) in zip([(0.0, False), *loud], loud, strict=False) if now and not before]
    told = [time + FRAME_SECONDS / 2 for time in told]
    return [time - min(starts, key=lambda true: abs(true - time)) for time in told]


def is_loud(packet: bytes) -> bool:
    """Whether the packet has more than silence."""
    samples = decode(packet[12:], 0)
    return samples is not None and int(np.abs(samples).max()) > LOUD


async def report(calls: int, seconds: float = 9.0) -> str:
    """Rows of a table."""
    rows = ["the leg's time, less the true one   in: p5  p50  p95  |p95|   out: p5  p50  p95  |p95| ms\n"]
    for line in LINES:
        found = await measure(line, calls, seconds)
        rows.append(f"{line.name:<36} {_spread(found.into)}    {_spread(found.out)}\n")
    return "".join(rows)


def _spread(errors: Sequence[float]) -> str:
    shares = [percentile(errors, share) for share in (0.05, 0.5, 0.95)]
    shares.append(percentile([abs(error) for error in errors], 0.95))
    return "".join(f"{share * 1000:>6.0f}" for share in shares)
