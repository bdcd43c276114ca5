"""When the sound of one SIP call really passes the wire: looks at the stack's counters now and then, and reckons.

While people talk the counters are read some times in a row every few seconds (wireclock.py makes clocks of that); in
between they are reckoned on. Where an answer begins, the counters say afterwards with which beat its first audible
frame was taken.
"""

import asyncio
import itertools
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from agent.audio import FRAME_SECONDS
from agent.telephony.line import Line
from agent.telephony.stackview import stack_view
from agent.telephony.wireclock import (
    ENOUGH,
    NEAR,
    Look,
    WayIn,
    WayOut,
    all_stepped,
    next_beat,
    receiving,
    sending,
)

FIRST_LOOKS = (0.2, 0.3, 0.5, 1.0)
"""Seconds between the first looks of a call."""
STALE_SECONDS = 2.0
"""A look older than this, when the caller begins or stops, asks for another..."""
EVERY_SECONDS = 10.0
"""...and so does this much time. One costs 1 to 2 ms."""
AGAIN_SECONDS = 0.1
"""...unless a wait is not what it was: then a few follow each other."""
LOOK_SECONDS = 0.026
"""A look lasts a little longer than a packet..."""
STEP_SECONDS = 0.002
"""...and reads the counters this often."""
PATIENCE = 50
"""Looks after which a frame that was not taken is given up: 0.3 s."""
READ_DELAY = 0.001
"""Seconds a sample takes from the wire to `read` beyond the jitter buffer's shortest, where nothing can be seen."""
SEND_DELAY = 0.005
"""Seconds from the transmitter to the wire, where nothing can be seen. loadtest/bench_telephony.py measures both."""


@dataclass(slots=True)
class _Departure:
    frame: int
    """Its number among the frames of sound that the transmitter takes, from 1."""
    offset: float
    """Seconds from the frame's middle to the sample."""
    expected: float
    """When the transmitter should take the frame."""
    tell: Callable[[float], None]
    task: asyncio.Task[None] | None = None
    taken: float | None = None
    """When the transmitter took the frame, once that is known."""


class WireWatch:
    """Made by a leg once its line is open. Times are time.monotonic(), which is the loop's clock with more digits."""

    def __init__(self, line: Line, call_id: str, jitter_seconds: float) -> None:
        self._line = line
        self._call_id = call_id
        self._loop = asyncio.get_running_loop()
        self._stack = stack_view()
        self._in = WayIn(jitter_seconds + READ_DELAY)
        self._out = WayOut(SEND_DELAY, FRAME_SECONDS)
        self._departure: _Departure | None = None
        self.read_at = 0.0
        """When the line was read last and gave sound, by the loop's clock."""
        self._stale = asyncio.Event()
        self._looked = time.monotonic()

    @property
    def send_delay(self) -> float:
        """Seconds from the transmitter to the wire."""
        return self._out.delay

    async def run(self) -> None:
        """Look until cancelled."""
        for pause in itertools.chain(FIRST_LOOKS, itertools.repeat(EVERY_SECONDS)):
            self._stale.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stale.wait(), pause)
            for _ in range(ENOUGH):
                self._reckon(await self._look())
                if not (self._in.doubtful or self._out.doubtful):
                    break
                await asyncio.sleep(AGAIN_SECONDS)

    def arrival(self, received: int, read: float) -> float:
        """See Leg."""
        if time.monotonic() - self._looked > STALE_SECONDS:
            self._stale.set()
        decoded = self._in.decoded(received, read)
        return (read - FRAME_SECONDS / 2 if decoded is None else decoded) - self._in.delay

    def on_departure(self, ahead: int, tell: Callable[[float], None]) -> None:
        """See Leg."""
        self.close()
        if (counts := self._line.counts()) is None:
            return
        before, within = divmod(self._line.buffered(self._loop.time()) + ahead, round(FRAME_SECONDS * self._line.rate))
        offset = within / self._line.rate - FRAME_SECONDS / 2
        now, clock = time.monotonic(), self._out.clock
        beat = now + FRAME_SECONDS / 2 if clock is None else next_beat(clock.taken, FRAME_SECONDS, now)
        departure = _Departure(counts.sound + before + 1, offset, beat + before * FRAME_SECONDS, tell)
        departure.task = self._loop.create_task(self._follow(departure))
        self._departure = departure

    def cleared(self) -> None:
        """What was written is thrown away: what has not left by now never will."""
        departure = self._departure
        if departure is not None and (departure.taken is not None or self._is_taken(departure)):
            self._tell(departure, self._out.delay)
        self.close()

    def close(self) -> None:
        """Forget who waits for a departure."""
        if self._departure is not None and self._departure.task is not None:
            self._departure.task.cancel()
        self._departure = None

    async def _follow(self, departure: _Departure) -> None:
        """Tell of a departure once it has happened."""
        await asyncio.sleep(departure.expected + FRAME_SECONDS / 2 - time.monotonic())
        if self._out.clock is None:  # the call is so young that nobody has looked yet
            departure.taken = departure.expected
        for _ in range(PATIENCE):
            if departure.taken is not None or (self._between_beats() and self._is_taken(departure)):
                break
            await asyncio.sleep(2 * NEAR)
        # What stands between transmitter and wire may have grown since the last look: this is when the machine is busy.
        self._reckon(await self._look())
        self._tell(departure, self._out.newest)

    def _tell(self, departure: _Departure, wait: float) -> None:
        if departure is self._departure and departure.taken is not None:
            self._departure = None
            departure.tell(departure.taken + wait + departure.offset)

    def _between_beats(self) -> bool:
        """Not so near to a beat of the transmitter that counters may show either side of it."""
        if self._out.clock is None:
            return False
        passed = (time.monotonic() - self._out.clock.taken) % FRAME_SECONDS
        return NEAR < passed < FRAME_SECONDS - NEAR

    def _is_taken(self, departure: _Departure) -> bool:
        """Whether the transmitter has taken the frame; notes with which beat."""
        counts, clock = self._line.counts(), self._out.clock
        if counts is None or clock is None or counts.sound < departure.frame:
            return False
        newest = next_beat(clock.taken, FRAME_SECONDS, time.monotonic()) - FRAME_SECONDS
        taken = newest - (counts.sound - departure.frame) * FRAME_SECONDS
        # More than a beat later is no miscount of ours: we were held up, and the transmitter had nothing more to take.
        departure.taken = taken if taken < departure.expected + 1.5 * FRAME_SECONDS else departure.expected
        return True

    async def _look(self) -> list[Look]:
        """The counters again and again, until each has stepped."""
        looks: list[Look] = []
        ends = self._looked = time.monotonic() + LOOK_SECONDS
        while time.monotonic() < ends:
            seen = self._stack.counters(self._call_id) if self._stack else None
            if (counts := self._line.counts()) is None:
                return []
            looks.append(Look(time.monotonic(), counts.received, counts.taken, seen))
            if all_stepped(looks):
                break
            await asyncio.sleep(STEP_SECONDS)
        return looks

    def _reckon(self, looks: list[Look]) -> None:
        if found := receiving(looks, self._line.rate):
            self._in.take(found, self._line.received, self.read_at)
        if going := sending(looks, FRAME_SECONDS):
            self._out.take(going)
