"""The pump's view of a call: every 20 ms, sound in and sound out, and what listening makes of it."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from agent import moves
from agent.audio import FRAME_SECONDS, Samples, frame_samples, silence
from agent.conversation import Conversation
from agent.listening.events import BargeIn, ListeningEvent, SpeechStarted, SpeechStopped
from agent.listening.pool import Ear
from agent.recording import Recording
from agent.telephony.leg import Leg

log = logging.getLogger(__name__)

REMEMBERED_TICKS = 100
"""Two seconds; listening tells of nothing older. What is, is reckoned from the oldest."""


class Line:
    """A member of the pump. Does nothing slow: it runs in the one tick of all calls."""

    def __init__(
        self, leg: Leg, ear: Ear, conversation: Conversation, recording: Recording, failed: Callable[[], None]
    ) -> None:
        """`failed` is called when a bug shows: it ends this call, and no other."""
        self.leg = leg
        self.ear = ear
        self.held = False
        """The far end has put us on hold: nobody listens, and nothing is said."""
        self._conversation = conversation
        self._recording = recording
        self._caller = silence(frame_samples(leg.rate))
        self._first = 0
        self._ticks: deque[tuple[int, int, float]] = deque(maxlen=REMEMBERED_TICKS)
        """Of each tick: position after its sound, how much the leg had given, when."""
        self._failed = failed
        self._loop = asyncio.get_running_loop()

    def on_frames(self, frames: Samples, first: int, now: float) -> None:
        """What the line brought, from position `first` on; the ear has heard it."""
        try:
            self._take(frames, first, now)
        except Exception:
            log.exception("a call broke")
            self._failed()

    def next_frame(self, now: float) -> Samples | None:
        """What to send."""
        try:
            return self._give(now)
        except Exception:
            log.exception("a call broke")
            self._failed()
            return None

    def _take(self, frames: Samples, first: int, now: float) -> None:
        self._caller, self._first = frames, first
        self._ticks.append((first + len(frames), self.leg.received, now))
        events = self.ear.events()
        if self.held:
            return
        self._conversation.hearing.frames(frames)
        for event in events:
            self._conversation.tell(self._event(event))
        self._conversation.tell(moves.Tick())

    def _give(self, now: float) -> Samples | None:
        frame = None if self.held else self._conversation.speaker.next_frame(now)
        self.ear.agent_speaking(frame)
        self._recording.frame(self._first, self._caller, silence(len(self._caller)) if frame is None else frame)
        return frame

    def hold(self, held: bool) -> None:
        """The far end holds the call, or takes it back."""
        self.held = held
        if held:
            self._conversation.speaker.pause()
        else:
            self._conversation.speaker.resume()
            self._conversation.tell(moves.TakenBack())

    def _event(self, event: ListeningEvent) -> moves.Event:
        match event:
            case SpeechStarted(first):
                return moves.CallerStarted(self._arrival(first), first)
            case SpeechStopped(last):
                return moves.CallerStopped(self._arrival(last), last)
            case BargeIn(first):
                return moves.CallerBargesIn(self._arrival(first), first)

    def _arrival(self, position: int) -> float:
        """When the sound at `position` came over the wire: a packet's time is that of its middle."""
        after, received, read = next(tick for tick in self._ticks if tick[0] >= position or tick is self._ticks[-1])
        return self.leg.arrival(received, read) + FRAME_SECONDS / 2 - (after - position) / self.leg.rate
