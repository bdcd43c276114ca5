"""When the sound of one SIP call really passes the wire: looks at the stack's counters now and then, and reckons.

While people talk the counters are read some times in a row every few seconds (wireclock.py makes clocks of that); in
between they are reckoned on. Where an answer begins, the counters say afterwards with which beat its first audible
frame was taken.
"""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from statistics import median

from agent.audio import FRAME_SECONDS
from agent.telephony.line import Line
from agent.telephony.stackview import stack_view
from agent.telephony.wireclock import Look, Receiving, Sending, all_stepped, decoded_at, next_beat, receiving, sending

FIRST_LOOKS = (0.2, 0.3, 0.5, 1.0)
"""Seconds between the first looks of a call."""
STALE_SECONDS = 2.0
"""A look older than this, when the caller begins or stops, asks for another..."""
EVERY_SECONDS = 10.0
"""...and so does this much time. One costs 1 to 2 ms."""
AGAIN_SECONDS = 0.1
"""...unless a wait is not what it was: then a few follow each other."""
CHANGED = 0.008
"""Seconds by which it is not."""
LOOK_SECONDS = 0.026
"""A look lasts a little longer than a packet..."""
STEP_SECONDS = 0.002
"""...and reads the counters this often."""
NEAR_BEAT = 0.003
"""Seconds from a beat within which counters may show either side of it."""
PATIENCE = 50
"""Looks after which a frame that was not taken is given up: 0.3 s."""
REMEMBERED = 3
"""Waits of which the middle one counts: one look may have fallen on a loss or a stall."""
LONGEST_WAIT = 0.1
"""Seconds beyond which frames between transmitter and wire are a miscount."""
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
        self._receiving: Receiving | None = None
        self._sending: Sending | None = None
        self._usual_wait = jitter_seconds + READ_DELAY
        self._waits_in: deque[float] = deque(maxlen=REMEMBERED)
        self._waits_out: deque[float] = deque(maxlen=REMEMBERED)
        self._uncounted = 0
        """Frames that the counters of taken frames and of packets have drifted apart: keys are packets too, and new
        streams count frames from 0."""
        self._departure: _Departure | None = None
        self._stale = asyncio.Event()
        self._looked = time.monotonic()

    @property
    def send_delay(self) -> float:
        """Seconds from the transmitter to the wire."""
        return median(self._waits_out) if self._waits_out else SEND_DELAY

    @property
    def receive_delay(self) -> float:
        """Seconds from the wire to the decoder."""
        return median(self._waits_in) if self._waits_in else self._usual_wait

    async def run(self) -> None:
        """Look until cancelled."""
        for pause in itertools.chain(FIRST_LOOKS, itertools.repeat(EVERY_SECONDS)):
            self._stale.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stale.wait(), pause)
            for _ in range(REMEMBERED):
                self._reckon(await self._look())
                if not self._doubtful:
                    break
                await asyncio.sleep(AGAIN_SECONDS)

    def arrival(self, received: int, read: float) -> float:
        """See Leg."""
        if time.monotonic() - self._looked > STALE_SECONDS:
            self._stale.set()
        if self._receiving is None:
            return read - FRAME_SECONDS / 2 - self.receive_delay
        return decoded_at(self._receiving, received, read, self._line.rate, NEAR_BEAT) - self.receive_delay

    def on_departure(self, ahead: int, tell: Callable[[float], None]) -> None:
        """See Leg."""
        self.close()
        if (counts := self._line.counts()) is None:
            return
        before, within = divmod(self._line.buffered(self._loop.time()) + ahead, round(FRAME_SECONDS * self._line.rate))
        offset = within / self._line.rate - FRAME_SECONDS / 2
        self._departure = departure = _Departure(counts.sound + before + 1, offset, tell)
        now = time.monotonic()
        beat = now + FRAME_SECONDS / 2 if self._sending is None else next_beat(self._sending.taken, FRAME_SECONDS, now)
        departure.task = self._loop.create_task(self._follow(departure, beat + before * FRAME_SECONDS))

    def cleared(self) -> None:
        """What was written is thrown away: what has not left by now never will."""
        departure = self._departure
        if departure is not None and (departure.taken is not None or self._is_taken(departure)):
            self._tell(departure, self.send_delay)
        self.close()

    def close(self) -> None:
        """Forget who waits for a departure."""
        if self._departure is not None and self._departure.task is not None:
            self._departure.task.cancel()
        self._departure = None

    async def _follow(self, departure: _Departure, expected: float) -> None:
        """Tell of a departure once it has happened; `expected` is when the transmitter should take the frame."""
        await asyncio.sleep(expected + FRAME_SECONDS / 2 - time.monotonic())
        if self._sending is None:  # the call is so young that nobody has looked yet
            departure.taken = expected
        for _ in range(PATIENCE):
            if departure.taken is not None or (self._between_beats() and self._is_taken(departure)):
                break
            await asyncio.sleep(2 * NEAR_BEAT)
        # What stands between transmitter and wire may have grown since the last look: this is when the machine is busy.
        self._reckon(await self._look())
        self._tell(departure, self._waits_out[-1] if self._waits_out else self.send_delay)

    def _tell(self, departure: _Departure, wait: float) -> None:
        if departure is self._departure and departure.taken is not None:
            self._departure = None
            departure.tell(departure.taken + wait + departure.offset)

    def _between_beats(self) -> bool:
        """Not so near to a beat of the transmitter that counters may show either side of it."""
        if self._sending is None:
            return False
        passed = (time.monotonic() - self._sending.taken) % FRAME_SECONDS
        return NEAR_BEAT < passed < FRAME_SECONDS - NEAR_BEAT

    def _is_taken(self, departure: _Departure) -> bool:
        """Whether the transmitter has taken the frame; notes with which beat."""
        counts, clock = self._line.counts(), self._sending
        if counts is None or clock is None or counts.sound < departure.frame:
            return False
        newest = next_beat(clock.taken, FRAME_SECONDS, time.monotonic()) - FRAME_SECONDS
        departure.taken = newest - (counts.sound - departure.frame) * FRAME_SECONDS
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
            self._receiving = found
            if found.wait is not None:
                self._waits_in.append(found.wait)
        if going := sending(looks, FRAME_SECONDS):
            if going.wait is not None:
                self._waits_out.append(self._wait_out(going, going.wait))
            self._sending = going

    @property
    def _doubtful(self) -> bool:
        """The newest of the waits is not like those before."""
        return any(waits and abs(waits[-1] - median(waits)) > CHANGED for waits in (self._waits_in, self._waits_out))

    def _wait_out(self, now: Sending, wait: float) -> float:
        """`wait` and the frames that stand between transmitter and wire."""
        before = self._sending
        if before is not None:
            # The transmitter takes a frame with every beat; its own count may err by frames of which half was there.
            beats = round((now.taken - before.taken) / FRAME_SECONDS)
            self._uncounted += before.frames + beats - now.frames
        waited = wait + (now.behind + self._uncounted) * FRAME_SECONDS
        if before is not None and not -NEAR_BEAT < waited < LONGEST_WAIT:
            missing = round((self.send_delay - waited) / FRAME_SECONDS)
            self._uncounted += missing
            waited += missing * FRAME_SECONDS
        return waited
