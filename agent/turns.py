"""Who has the floor: a pure machine. An event and the time go in, actions come out; deadlines come with `Tick`.

listening → thinking → speaking → listening, with *paused* while it is open whether the caller interrupts.
While listening, the first short pause starts an answer on speculation; it is spoken only once the turn is over.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from agent.listening.lexical import is_backchannel
from agent.moves import (
    Action,
    AgentEnded,
    AgentStarted,
    Apologise,
    AskTranscript,
    AskTurnModel,
    BeginAnswer,
    CallerBargesIn,
    CallerStarted,
    CallerStopped,
    ConfirmAnswer,
    Event,
    GiveUp,
    Heard,
    Interrupt,
    Likelihood,
    Listen,
    Partial,
    PausePlayout,
    PromptSilence,
    ResumePlayout,
    RetractAnswer,
    TakenBack,
    Tick,
)


class Floor(StrEnum):
    """Whose turn it is."""

    LISTENING = "listening"
    THINKING = "thinking"
    """The caller has finished; nothing of the answer has been sent."""
    SPEAKING = "speaking"
    PAUSED = "paused"
    """The caller spoke over the agent, who waits to learn what it was."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Deadlines, in seconds."""

    required_silence: Callable[[str, float | None, bool], float]
    """How long the caller must be silent before the turn is over, given the words so far, the turn model's probability
    (None while it has not answered), and whether this caller is known to hesitate."""
    hesitation: float = 0.4
    """A pause of this length, after which the caller goes on, is a hesitation."""
    judge_after: float = 0.18
    """Pauses shorter than this are between words: the turn model, which costs more than anything else in a call, is
    asked about longer ones."""
    transcript_deadline: float = 1.2
    """After the last voiced sample, without a transcript: apologise."""
    surely_interrupting: float = 0.8
    """Speech over the agent of this length is an interruption, whatever the words."""
    verdict_deadline: float = 1.2
    """After speech over the agent stopped, without a transcript: it was nothing."""
    overlap_counts: float = 1.0
    """Speech that ended this shortly before the agent did is an answer, not an overlap."""
    longest_turn: float = 30.0
    """Somebody who speaks longer is answered anyway (music, a television)."""
    prompt_after: float = 8.0
    """Silence of both sides before the agent asks."""
    prompts: int = 2

    def intonation_counts(self, text: str, hesitant: bool) -> bool:
        """Whether the turn model can change the required silence: where the words must go on it cannot."""
        return len({self.required_silence(text, probability, hesitant) for probability in (None, 0.0, 1.0)}) > 1


@dataclass(slots=True)
class _Pause:
    """A pause of the caller that may be the end of the turn."""

    request: int
    stopped: float
    text: str | None = None
    asked: bool = False  # the turn model
    probability: float | None = None
    judged: float = 0.0  # when the turn model answered
    silence: float | None = None  # how long it must be, once reckoned from text and probability
    apologised: bool = False


class Turns:
    """The machine of one call. `floor` may be read; `handle` is the only way to change it."""

    def __init__(self, policy: Policy, now: float) -> None:
        self.floor = Floor.LISTENING
        self._policy = policy
        self._requests = 0
        self._speech: CallerStarted | None = None  # the caller's voice right now
        self._overlap: tuple[CallerStarted, CallerStopped] | None = None  # the last speech over the agent
        self._pause: _Pause | None = None
        self._speculating = False
        self._quiet_since = now
        self._prompts = 0
        self._hesitant = False  # this caller has paused inside a turn and gone on

    @property
    def caller_speaking(self) -> bool:
        """Whether the caller's voice is heard now."""
        return self._speech is not None

    def handle(self, event: Event, now: float) -> list[Action]:
        """What to do about `event`, in order."""
        match event:
            case Tick():  # first, for it comes fifty times a second
                return self._tick(now)
            case CallerStarted():
                return self._started(event)
            case CallerStopped():
                return self._stopped(event)
            case CallerBargesIn():
                return self._barges_in(event)
            case Partial(text):
                interrupts = self.floor is Floor.PAUSED and text and not is_backchannel(text)
                return self._interrupted() if interrupts else []
            case Heard():
                return self._heard(event, now)
            case Likelihood(request, probability):
                if self._pause and self._pause.request == request:
                    self._pause.probability, self._pause.judged, self._pause.silence = probability, now, None
                return self._tick(now)
            case AgentStarted():
                if self.floor in (Floor.THINKING, Floor.LISTENING):
                    self.floor = Floor.SPEAKING
                return []
            case AgentEnded():
                return self._agent_ended(now)
            case TakenBack():
                self._quiet_since = now
                return []

    # -- the caller's voice ------------------------------------------------------------------------------------------

    def _started(self, event: CallerStarted) -> list[Action]:
        self._speech = event
        self._prompts = 0
        match self.floor:
            case Floor.LISTENING:
                if self._speculating and self._pause:
                    self._hesitant |= event.at - self._pause.stopped >= self._policy.hesitation
                self._pause = None
                return [*self._retract(), Listen(event.position)]
            case Floor.THINKING:  # nothing was said yet: hold it back until it is clear what this is
                self.floor = Floor.PAUSED
                self._pause = None
                return [PausePlayout(), Listen(event.position)]
            case Floor.PAUSED:
                self._pause = None
                return [Listen(event.position)]
            case Floor.SPEAKING:
                return []

    def _barges_in(self, event: CallerBargesIn) -> list[Action]:
        if self.floor is not Floor.SPEAKING:
            return []
        self._speech = CallerStarted(event.at, event.position)
        self.floor = Floor.PAUSED
        return [PausePlayout(), Listen(event.position)]

    def _stopped(self, event: CallerStopped) -> list[Action]:
        speech, self._speech = self._speech, None
        self._quiet_since = event.at
        if self.floor is Floor.SPEAKING:
            if speech:
                self._overlap = (speech, event)
            return []
        if speech is None and self._pause:  # the word ended a little later than it seemed
            self._pause.stopped = max(self._pause.stopped, event.at)
        if self.floor is Floor.THINKING or speech is None:
            return []
        return self._open_pause(event.at)

    def _open_pause(self, stopped: float) -> list[Action]:
        self._requests += 1
        self._pause = _Pause(self._requests, stopped)
        return [AskTranscript(self._requests, final=False)]

    # -- the words ---------------------------------------------------------------------------------------------------

    def _heard(self, event: Heard, now: float) -> list[Action]:
        pause = self._pause
        if pause is None or pause.request != event.request or pause.text is not None:
            return []
        pause.text = event.text
        if self.floor is Floor.PAUSED:
            if not event.text or is_backchannel(event.text):
                return self._resume()
            actions = self._interrupted()
            self._pause = pause
            return [*actions, *self._speculate(event.text), *self._tick(now)]
        if not event.text:  # a noise: no turn, and nothing to remember of it
            self._pause = None
            return self._settle()
        return [*self._speculate(event.text), *self._tick(now)]

    def _speculate(self, text: str) -> list[Action]:
        actions = self._retract()
        self._speculating = True
        return [*actions, BeginAnswer(text)]

    def _retract(self) -> list[Action]:
        if not self._speculating:
            return []
        self._speculating = False
        return [RetractAnswer()]

    def _settle(self) -> list[Action]:
        """Have the recogniser forget what it heard up to here."""
        self._requests += 1
        return [AskTranscript(self._requests, final=True)]

    # -- the agent's voice -------------------------------------------------------------------------------------------

    def _interrupted(self) -> list[Action]:
        self.floor = Floor.LISTENING
        self._pause = None
        return [Interrupt()]

    def _resume(self) -> list[Action]:
        self.floor = Floor.SPEAKING
        self._pause = None
        return [ResumePlayout(), *self._settle()]

    def _agent_ended(self, now: float) -> list[Action]:
        if self.floor is Floor.LISTENING:
            return []
        self.floor = Floor.LISTENING
        self._quiet_since = now
        overlap, self._overlap = self._overlap, None
        if self._speech:
            return [Listen(self._speech.position)]
        if overlap and now - overlap[1].at <= self._policy.overlap_counts:
            return [Listen(overlap[0].position), *self._open_pause(overlap[1].at)]
        return []

    # -- time --------------------------------------------------------------------------------------------------------

    def _tick(self, now: float) -> list[Action]:
        if self._speech and now - self._speech.at >= self._policy.longest_turn and self.floor is Floor.LISTENING:
            return self._stopped(CallerStopped(now, self._speech.position))
        match self.floor:
            case Floor.LISTENING if self._pause:
                return [*self._judge(self._pause, now), *self._end_of_turn(self._pause, now)]
            case Floor.LISTENING:
                return self._prompt(now)
            case Floor.PAUSED:
                return self._verdict(now)
            case _:
                return []

    def _judge(self, pause: _Pause, now: float) -> list[Action]:
        if pause.asked or now - pause.stopped < self._policy.judge_after:
            return []
        pause.asked = True
        counts = pause.text is None or self._policy.intonation_counts(pause.text, self._hesitant)
        return [AskTurnModel(pause.request)] if counts else []

    def _end_of_turn(self, pause: _Pause, now: float) -> list[Action]:
        if pause.text is None:
            if now - pause.stopped >= self._policy.transcript_deadline and not pause.apologised:
                pause.apologised = True
                return [Apologise()]
            return []
        if pause.silence is None:
            pause.silence = self._policy.required_silence(pause.text, pause.probability, self._hesitant)
        enough = pause.stopped + pause.silence
        if now < enough:
            return []
        self.floor = Floor.THINKING
        self._pause = None
        self._speculating = False
        return [*self._settle(), ConfirmAnswer(pause.stopped, over=max(enough, pause.judged))]

    def _verdict(self, now: float) -> list[Action]:
        if self._speech:
            return self._interrupted() if now - self._speech.at >= self._policy.surely_interrupting else []
        late = self._pause is None or now - self._pause.stopped >= self._policy.verdict_deadline
        return self._resume() if late else []

    def _prompt(self, now: float) -> list[Action]:
        if self._speech or now - self._quiet_since < self._policy.prompt_after:
            return []
        self._quiet_since = now
        self._prompts += 1
        return [GiveUp()] if self._prompts > self._policy.prompts else [PromptSilence(self._prompts)]
