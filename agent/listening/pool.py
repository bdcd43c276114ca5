"""Ears: what one process hears on all its calls, with one inference per tick for all of them."""

import numpy as np

from agent.audio import Samples
from agent.listening.activity import Activity
from agent.listening.events import ListeningEvent, Window
from agent.listening.history import History
from agent.listening.silero import Floats, Memory, VoiceModel, context_samples, window_samples

KEEP_SECONDS = 8
"""What the turn model looks at."""


class Ear:
    """The listening side of one call. Made by `ListeningPool.open`; used by the event loop's thread only.

    Every tick: `push` what came from the line, `agent_speaking` with what goes out, then, after the pool's `process`,
    read `events`.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.activity = Activity(rate)
        self.memory = Memory(rate)
        self._window = window_samples(rate)
        self._context = context_samples(rate)
        self._heard = History(KEEP_SECONDS * rate)
        self._done = 0
        self._events: list[ListeningEvent] = []

    @property
    def position(self) -> int:
        """Samples pushed so far."""
        return self._heard.end

    @property
    def speaking(self) -> bool:
        """Between SpeechStarted and SpeechStopped."""
        return self.activity.speaking

    def push(self, samples: Samples) -> None:
        """Append what the line brought, usually one frame of 20 ms. Time is counted in samples: silence is zeros."""
        self._heard.append(samples)

    def agent_speaking(self, reference: Samples | None) -> None:
        """Tell what is being played in this tick (after its `push`), or None for nothing. Echo is judged against it,
        and only while the agent speaks, or has just spoken, can there be a BargeIn."""

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
        window = Window(self._done, probability, level, parts)
        event = self.activity.update(window)
        self.memory.settle(probability, quiet=not self.activity.speaking)
        if event is not None:
            self._events.append(event)


class ListeningPool:
    """All ears of a process. `process` runs in the event loop: a window of ten calls takes half a millisecond, and a
    thread hop costs more than the inference (docs/measurements)."""

    def __init__(self) -> None:
        self._model = VoiceModel()
        self._ears: dict[int, list[Ear]] = {8000: [], 16000: []}

    def open(self, rate: int) -> Ear:
        """An ear for a call at 8000 or 16000 samples a second. Raises ValueError for other rates."""
        ear = Ear(rate)
        self._ears[rate].append(ear)
        return ear

    def close(self, ear: Ear) -> None:
        """The call has ended. Does nothing for an ear that is closed already."""
        if ear in self._ears[ear.rate]:
            self._ears[ear.rate].remove(ear)

    def process(self) -> None:
        """Score every whole window that has been pushed: one inference per rate, more only to catch up."""
        for rate, ears in self._ears.items():
            while ready := [ear for ear in ears if ear.ready()]:
                self._score(rate, ready)

    def _score(self, rate: int, ears: list[Ear]) -> None:
        context = context_samples(rate)
        sound = np.empty((len(ears), context + window_samples(rate)), dtype=np.float32)
        for row, ear in zip(sound, ears, strict=True):
            ear.fill(row)
        power = np.square(sound[:, context:]).reshape(len(ears), 4, -1).mean(axis=2)
        parts = 10 * np.log10(power + 1e-10)
        levels = 10 * np.log10(power.mean(axis=1) + 1e-10)
        probabilities = self._model.run(rate, sound, [ear.memory for ear in ears])
        for ear, probability, quarters, level in zip(ears, probabilities, parts.tolist(), levels.tolist(), strict=True):
            ear.take(probability, tuple(quarters), level)
