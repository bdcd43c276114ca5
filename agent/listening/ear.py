"""The listening side of one call: sound in, windows to the pool, events out."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from agent.audio import Samples, level_dbfs
from agent.listening.activity import Activity
from agent.listening.ambience import Ambience
from agent.listening.barge_in import Overtalk
from agent.listening.echo import LONGEST_LAG, STRETCH, EchoJudge
from agent.listening.events import BargeIn, ListeningEvent, SpeechStarted, SpeechStopped, Window
from agent.listening.history import History
from agent.listening.onset import LOOKS, Onset
from agent.listening.silero import Floats, Memory, context_samples, window_samples

KEEP_SECONDS = 8
"""What the turn model looks at."""
_AUDIBLE_DBFS = -60.0
_STILL_SPEAKING = 0.6
"""Seconds: shorter pauses, of commas and between sentences, belong to what the agent says."""
_SAME_SPEECH = 0.2
"""Seconds: after a shorter pause it is the same speech over the agent."""
_WORTH_A_LOOK = 0.3  # probability of speech from which a window may be echo that matters


class Ear:
    """Made by `ListeningPool.open`; used by the event loop's thread only.

    Every tick: `push` what came from the line, `agent_speaking` with what goes out, then, after the pool's `process`,
    read `events`.
    """

    def __init__(self, rate: int, onsets: Sequence[Onset]) -> None:
        self.rate = rate
        self.memory = Memory(rate)
        self._window = window_samples(rate)
        self._context = context_samples(rate)
        self._activity = Activity(rate)
        self._onsets = onsets
        self._heard = History(KEEP_SECONDS * rate)
        self._played = History(2 * rate)
        self._played_last = -KEEP_SECONDS * rate
        self._echo = EchoJudge()
        self._ambience = Ambience()
        self._recent: deque[Window] = deque(maxlen=12)
        self._overtalk: Overtalk | None = None
        self._yielded = False  # the agent has been told to stop, and what it still says is not over the room
        self._stopped = 0
        self._done = 0
        self._events: list[ListeningEvent] = []

    @property
    def position(self) -> int:
        """Samples pushed so far."""
        return self._heard.end

    @property
    def speaking(self) -> bool:
        """Between SpeechStarted and SpeechStopped."""
        return self._activity.speaking

    def push(self, samples: Samples) -> None:
        """Append what the line brought, usually one frame of 20 ms. Time is counted in samples: silence is zeros."""
        self._heard.append(samples)

    def agent_speaking(self, reference: Samples | None) -> None:
        """Tell what is being played in this tick (after its `push`), or None for nothing. Echo is judged against it,
        and only while the agent speaks can there be a BargeIn."""
        if reference is None:
            return
        gap = self._heard.end - len(reference) - self._played.end
        if gap > 0:
            self._played.append(np.zeros(gap, dtype=np.int16))
        self._played.append(reference)
        if level_dbfs(reference) > _AUDIBLE_DBFS:
            self._played_last = self._played.end

    def events(self) -> list[ListeningEvent]:
        """What has become certain since the last call, in order."""
        events, self._events = self._events, []
        return events

    def recent(self, seconds: float = KEEP_SECONDS) -> Samples:
        """A copy of the newest samples, at most 8 s; fewer if the call is younger."""
        return self._heard.tail(round(seconds * self.rate))

    # Used by the pool.

    def ready(self) -> bool:
        """A whole window waits."""
        return self._heard.end - self._done >= self._window

    def fill(self, row: Floats) -> None:
        """Write context and window, which are the model's input, into `row`."""
        first = self._done - self._context
        np.multiply(self._heard.between(first, self._done + self._window), 1 / 32768, out=row, dtype=np.float32)
        if self.memory.fresh:
            row[: self._context] = 0

    def take(self, probability: float, parts: tuple[float, float, float, float], level: float) -> None:
        """The window that `fill` gave has been scored."""
        self._done += self._window
        over_agent = self._done - self._played_last < LONGEST_LAG * self.rate
        echo = over_agent and probability >= _WORTH_A_LOOK and self._is_echo()
        window = Window(self._done, probability, level, parts, echo)
        event = self._activity.update(window, careful=over_agent)
        self.memory.settle(probability, quiet=not self._activity.speaking)
        if event is not None:
            self._events.append(event)
        self._follow(event, window)

    def _is_echo(self) -> bool:
        stretch, lag = round(STRETCH * self.rate), round(LONGEST_LAG * self.rate)
        if self._played.end < self._done:
            self._played.append(np.zeros(self._done - self._played.end, dtype=np.int16))
        caller = self._heard.between(self._done - stretch, self._done)
        played = self._played.between(self._done - stretch - lag, self._done)
        return self._echo.is_echo(caller, played, self.rate, self._done / self.rate)

    def _follow(self, event: SpeechStarted | SpeechStopped | None, window: Window) -> None:
        """Is there speech over the agent, and does it interrupt?"""
        if isinstance(event, SpeechStarted):
            if self._overtalk is None or event.first - self._stopped > _SAME_SPEECH * self.rate:
                self._overtalk = self._overtalk_from(event.first, window)
            else:
                self._overtalk.update(window, voiced=True)
        elif isinstance(event, SpeechStopped):
            self._stopped = event.last
        elif self._overtalk is not None and self._activity.speaking:
            self._overtalk.update(window, window.probability >= _WORTH_A_LOOK and not window.echo)
        self._learn_the_room(window)
        self._recent.append(window)
        overtalk = self._overtalk
        if overtalk is None or not self._activity.speaking:
            return
        if self._done - self._played_last > _STILL_SPEAKING * self.rate:
            return
        look = overtalk.wants_look
        if look is not None:
            overtalk.scores.append(self._onsets[look].score(self._beginning(overtalk.first, LOOKS[look]), self.rate))
        if overtalk.interrupts(self._activity.floor, self._activity.speech_level, self._activity.crowd):
            self._events.append(BargeIn(overtalk.first))
            self._ambience.forget_since(overtalk.first)
            self._overtalk, self._yielded = None, True

    def _overtalk_from(self, first: int, window: Window) -> Overtalk:
        """Speech that began at `first` and was noticed only now."""
        overtalk = Overtalk(first, self.rate, self._ambience.exceeded_from(first))
        for known in (*self._recent, window):
            if known.end > first:
                overtalk.update(known, voiced=not known.echo)  # a soft beginning is no voice to the model
        return overtalk

    def _learn_the_room(self, window: Window) -> None:
        audible = self._done - self._played_last < _SAME_SPEECH * self.rate
        self._yielded &= audible
        if audible and not self._yielded:
            self._ambience.update(window)

    def _beginning(self, first: int, seconds: float) -> Samples:
        first = max(first, self._heard.end - KEEP_SECONDS * self.rate)
        return self._heard.between(first, first + round(seconds * self.rate))
