"""PURE: a caller playing a scenario, 20 ms at a time: what is heard goes in, what to send comes out.

It knows what a phone knows: the sound of the agent. Positions are samples since the call connected, at 8000 a second.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from agent.audio import Samples, level_dbfs
from loadtest.echo import EchoPath
from loadtest.scenario import Backchannel, Digits, HangUp, Hold, Interrupt, Listen, Pause, Say, Scenario, Step

RATE = 8000
FRAME = 160
AUDIBLE_DBFS = -48.0
"""A frame at least this loud is the agent speaking: well under speech, well over G.711's idle noise."""
CLICK_FRAMES = 2
"""So many audible frames in a row are speech and not a click."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One spoken line, rendered before the call."""

    text: str
    samples: Samples
    """At 8000 a second."""
    first_voiced: int
    last_voiced: int
    """Samples within the clip, half open: [first_voiced, last_voiced)."""


EventKind = Literal[
    "say", "interrupt", "backchannel", "digits", "held", "resumed", "agent_started", "agent_finished", "hung_up",
    "gave_up", "done",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """Something the caller did or heard."""

    kind: EventKind
    at: int
    """Position where it began; of spoken lines, of the first voiced sample."""
    end: int = 0
    """Of spoken lines: position after the last voiced sample."""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """What one tick sends."""

    frame: Samples
    digits: str = ""
    hang_up: bool = False
    hold: bool | None = None
    """Put the far end on hold, or take it back; None: leave it as it is."""


@dataclass
class Ear:
    """Tells when the agent speaks, by level alone."""

    patience: float
    speaking: bool = False
    started: int = 0
    """Where what it says now, or said last, began."""
    last_sound: int = 0
    finished: int = 0
    """How many times the agent has finished."""
    _run: int = 0

    def hear(self, frame: Samples, at: int) -> Event | None:
        """Take the frame that ends at position `at`; an event where the agent starts or has finished."""
        self._run = self._run + 1 if level_dbfs(frame) > AUDIBLE_DBFS else 0
        if self._run:
            self.last_sound = at
        if not self.speaking and self._run >= CLICK_FRAMES:
            self.speaking, self.started = True, at - self._run * FRAME
            return Event("agent_started", self.started)
        if self.speaking and at - self.last_sound >= self.patience * RATE:
            self.speaking = False
            self.finished += 1
            return Event("agent_finished", self.last_sound)
        return None


@dataclass
class Performance:
    """Plays the steps of `scenario`. `clips[n]` is the sound of step n where it has one; `background` is looped."""

    scenario: Scenario
    clips: dict[int, Clip]
    background: Samples
    events: list[Event] = field(default_factory=list)
    position: int = 0
    over: bool = False
    done: bool = False
    """Every step was played; it is only waited for the end of the call."""

    def __post_init__(self) -> None:
        self._ear = Ear(self.scenario.patience)
        self._answered = 0
        self._spoke = -1  # position at which the caller last took the floor
        self._voice = np.zeros(FRAME, dtype=np.int16)
        self._digits = ""
        self._hang_up = False
        self._hold: bool | None = None
        self._echo = EchoPath(self.scenario.echo, FRAME, RATE) if self.scenario.echo else None
        self._script = self._play()

    def tick(self, heard: Samples) -> Output:
        """20 ms: `heard` (160 samples) has come in; returns what goes out."""
        self.position += FRAME
        if event := self._ear.hear(heard, self.position):
            self.events.append(event)
        self._voice = np.zeros(FRAME, dtype=np.int16)
        self._digits, self._hold = "", None
        if not self.over and next(self._script, "end") == "end":
            self.over = True
        return Output(self._mixed(heard), self._digits, self._hang_up, self._hold)

    def _mixed(self, heard: Samples) -> Samples:
        total = self._voice.astype(np.int32)
        if len(self.background):
            start = self.position % (len(self.background) - FRAME)
            total += self.background[start : start + FRAME]
        if self._echo is not None:
            total += self._echo.of(heard)
        return np.clip(total, -32768, 32767).astype(np.int16)

    # The script is a generator; each yield is one tick. That keeps "do this, then wait for that" readable.

    def _play(self) -> Iterator[None]:
        for number, step in enumerate(self.scenario.steps):
            yield from self._step(number, step)
            if self._hang_up:
                return
        yield from self._until_the_end()

    def _step(self, number: int, step: Step) -> Iterator[None]:
        match step:
            case Say():
                if step.wait:
                    yield from self._wait_for_agent()
                yield from self._speak("say", self.clips[number])
                self._answered = self._ear.finished
            case Interrupt():
                yield from self._wait_into_answer(step.after, since=self._spoke)
                yield from self._speak("interrupt", self.clips[number])
                self._answered = self._ear.finished + self._ear.speaking
            case Backchannel():
                yield from self._wait_into_answer(step.after) if step.wait else self._wait(step.after)
                yield from self._speak("backchannel", self.clips[number])
            case Digits():
                if step.wait:
                    yield from self._wait_for_agent()
                self._digits = step.digits
                self.events.append(Event("digits", self.position))
                yield
            case Pause():
                yield from self._wait(step.pause)
            case Listen():
                yield from self._wait_for_agent()
                self._answered = self._ear.finished
            case Hold():
                yield from self._wait_into_answer(step.after)
                yield from self._put_on_hold(step.hold)
            case HangUp():
                if step.wait:
                    yield from self._wait_for_agent()
                self._leave("hung_up")

    def _wait(self, seconds: float) -> Iterator[None]:
        until = self.position + int(seconds * RATE)
        while self.position < until:
            yield

    def _wait_for_agent(self) -> Iterator[None]:
        """Until the agent has said something since the caller's last words, and has finished."""
        while self._ear.speaking or self._ear.finished <= self._answered:
            if self._tired():
                self._leave("gave_up")
                return
            yield

    def _wait_into_answer(self, seconds: float, since: int = -1) -> Iterator[None]:
        """Until the agent has been speaking for so long, in something that it began after position `since`."""
        while not (
            self._ear.speaking and self._ear.started > since and self.position - self._ear.started >= seconds * RATE
        ):
            if self._tired():
                self._leave("gave_up")
                return
            yield

    def _put_on_hold(self, seconds: float) -> Iterator[None]:
        """The agent is silent meanwhile; afterwards it goes on, and only that counts as an answer."""
        if self._hang_up:
            return
        self._hold = True
        self.events.append(Event("held", self.position))
        yield
        yield from self._wait(seconds)
        self._hold = False
        self._answered = self._ear.finished + self._ear.speaking
        self.events.append(Event("resumed", self.position, self.position))  # patience begins anew
        yield

    def _until_the_end(self) -> Iterator[None]:
        self.done = True
        self.events.append(Event("done", self.position))
        while not self._tired():
            yield
        self._leave("gave_up")

    def _tired(self) -> bool:
        spoke = max((event.end for event in self.events), default=0)
        return not self._ear.speaking and (
            self.position - max(self._ear.last_sound, spoke) > self.scenario.give_up * RATE
        )

    def _speak(self, kind: EventKind, clip: Clip) -> Iterator[None]:
        if self._hang_up:
            return
        start = self.position - FRAME  # the frame of this tick
        if kind != "backchannel":
            self._spoke = start
        self.events.append(Event(kind, start + clip.first_voiced, start + clip.last_voiced, clip.text))
        for first in range(0, len(clip.samples), FRAME):
            piece = clip.samples[first : first + FRAME]
            self._voice[: len(piece)] = piece
            yield

    def _leave(self, kind: Literal["hung_up", "gave_up"]) -> None:
        self.events.append(Event(kind, self.position))
        self._hang_up = True
