"""One 20 ms task that moves the sound of all calls of a process.

Each tick: read every leg, place what arrived on the clock, hand all of it to the listening pool in one go and then to
each call; then let each call fill its leg. Deadlines are absolute, so the pump does not drift.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.audio import FRAME_SECONDS, Samples, frame_samples
from agent.telephony import metrics
from agent.telephony.intake import Intake
from agent.telephony.leg import Leg

log = logging.getLogger(__name__)

DEPTH_FRAMES = 3
"""Frames a leg holds after a tick while there is something to say. The line takes one every 20 ms by its own clock:
with three, a tick may be 40 ms late without a gap. It adds no delay, since the first frame leaves at the line's next
tick, and an interruption throws the others away. Two left 0.3 % gaps with 40 calls on a busy core."""
CATCH_UP_SECONDS = 0.1
"""A tick that is later than this is not made up for by quick ones; the ticks in between are skipped and counted."""


class Member(Protocol):
    """A connected call, as the pump sees it."""

    leg: Leg

    def on_frames(self, frames: Samples, first: int, now: float) -> None:
        """Sound that has arrived: whole frames, at least one, beginning at position `first`."""

    def next_frame(self, now: float) -> Samples | None:
        """The next 20 ms to send, or None for silence. Asked as often as the line needs: mostly once a tick, more often
        at the beginning of speech and after a late tick."""


Listen = Callable[[Sequence[tuple[Member, Samples]]], Awaitable[None] | None]
"""Takes the sound of all calls of a tick, before the members get theirs."""


@dataclass(slots=True)
class _Seat:
    intake: Intake
    frame: int
    silent: bool = True
    """The member had nothing to say when it was last asked: the leg holds less than it may."""
    reported: tuple[int, int, int] = (0, 0, 0)


class Pump:
    """Owns the clock of all calls. Everything happens in the event loop's thread."""

    def __init__(self, before_members: Listen | None = None) -> None:
        self._listen = before_members
        self._seats: dict[Member, _Seat] = {}

    def add(self, member: Member) -> None:
        """Serve a call from the next tick on; position 0 is now. Its leg must be connected."""
        rate = member.leg.rate
        self._seats[member] = _Seat(Intake(rate, asyncio.get_running_loop().time()), frame_samples(rate))

    def remove(self, member: Member) -> None:
        """Stop serving a call; unknown ones are ignored."""
        seat = self._seats.pop(member, None)
        if seat is not None:
            _report(seat)

    def position(self, member: Member) -> int:
        """Samples handed to the member so far."""
        return self._seats[member].intake.position

    async def run(self) -> None:
        """Tick until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        ticks = 0
        while True:
            await self.tick(loop.time())
            ticks += 1
            if ticks % 50 == 0:
                for seat in self._seats.values():
                    _report(seat)
            due += FRAME_SECONDS
            late = loop.time() - due
            if late > CATCH_UP_SECONDS:
                skipped = int(late / FRAME_SECONDS)
                metrics.skipped_ticks.inc(skipped)
                due += skipped * FRAME_SECONDS
            await asyncio.sleep(max(0.0, due - loop.time()))
            metrics.lateness.observe(max(0.0, loop.time() - due))

    async def tick(self, now: float) -> None:
        """One tick. `now` is the loop's time."""
        arrived = []
        for member, seat in self._seats.items():
            placed = seat.intake.place(member.leg.read(), now)
            if placed.samples.size:
                arrived.append((member, placed.samples, placed.first))
        if self._listen is not None and arrived:
            listening = self._listen([(member, samples) for member, samples, _ in arrived])
            if listening is not None:
                await listening
        for member, samples, first in arrived:
            if member in self._seats:
                member.on_frames(samples, first, now)
        for member, seat in list(self._seats.items()):
            _fill(member, seat, now)


def _fill(member: Member, seat: _Seat, now: float) -> None:
    if seat.silent:  # most members, most of the time: a frame fits, and the leg need not be asked
        seat.silent = not _give(member, now)
        if seat.silent:
            return
    missing = DEPTH_FRAMES - member.leg.buffered() // seat.frame
    for _ in range(missing):
        if not _give(member, now):
            seat.silent = True
            return


def _give(member: Member, now: float) -> bool:
    """Pass the member's next frame on to its leg; False: it has none."""
    samples = member.next_frame(now)
    if samples is not None:
        member.leg.write(samples)
    return samples is not None


def _report(seat: _Seat) -> None:
    intake = seat.intake
    counts = (intake.concealed, intake.trimmed, intake.skipped)
    for fate, count, before in zip(("concealed", "trimmed", "skipped"), counts, seat.reported, strict=True):
        if count > before:
            metrics.placed.labels(fate).inc((count - before) / (seat.frame * 50))
    seat.reported = counts
