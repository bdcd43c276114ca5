"""One call's speech: what was heard, what of it is understood, what is worth decoding next. PURE: no clock, no I/O.

Positions are samples since the call began. A turn begins where the last final transcript was asked for.
"""

from dataclasses import dataclass, field

from services.errors import InvalidRequest
from stt_worker.activity import Activity
from stt_worker.pieces import Run, cut_position
from stt_worker.scheduler import Kind
from stt_worker.sound import Pcm
from stt_worker.stability import StablePrefix
from stt_worker.timeline import Timeline
from stt_worker.transcript import Ask, Piece, Task, Understood, joined

LEAST_SOUND_SECONDS = 0.06
"""Less is a click."""
NEW_SOUND_SECONDS = 0.04
"""From here on it matters that a decode did not hear it."""
PAUSE_SECONDS = 0.08
"""The shortest silence after which the words so far are decoded in full: a request for them may be near."""
LEAD_SECONDS, TAIL_SECONDS = 0.2, 0.3
"""Silence left around the sound of a piece: soft beginnings and endings lie below the threshold."""
BACKLOG_SECONDS = 60.0
"""More sound than this is not kept for one call."""


@dataclass(frozen=True)
class Hypothesis:
    """Unasked: what has been understood of a turn so far."""

    stable: str
    rest: str
    through: int


@dataclass
class _Turn:
    """What is known since the last final transcript."""

    number: int
    start: int
    open: int
    """Before it, pieces are complete."""
    tried: int
    """Up to here something was submitted to be decoded."""
    closed: list[Run] = field(default_factory=list)
    """Complete pieces that are not understood yet."""
    settled: list[Understood] = field(default_factory=list)
    """The complete pieces before those."""
    latest: tuple[int, Understood] | None = None
    """The newest text with word times, and how far it reaches."""
    prefix: StablePrefix = field(default_factory=StablePrefix)


class Stream:
    """The state of one call."""

    def __init__(self, rate: int, language: str, hints: tuple[str, ...], partial_seconds: float) -> None:
        self._rate = rate
        self._language = language
        self._hints = hints
        self._partial_seconds = partial_seconds
        self._timeline = Timeline()
        self._activity = Activity(rate)
        self._turn = _Turn(0, 0, 0, 0)

    @property
    def turn(self) -> int:
        """Number of the turn; tasks carry that of theirs."""
        return self._turn.number

    @property
    def overfull(self) -> bool:
        """Whether so much waits to be decoded that no more should be read from the client."""
        return self._timeline.held > BACKLOG_SECONDS * self._rate

    def hint(self, hints: tuple[str, ...]) -> None:
        """Replace the hints; what was decoded with the old ones does not answer requests any more."""
        self._hints = hints
        self._turn.latest = None

    def hear(self, first: int, samples: Pcm) -> None:
        """Samples from position `first` on. Raises InvalidRequest if it goes back."""
        if first < self._timeline.end:
            raise InvalidRequest(
                "audio.first_sample", f"{first} goes back; the audio so far ends before {self._timeline.end}"
            )
        self._timeline.append(first, samples)
        self._activity.hear(first, samples)
        while (cut := cut_position(self._runs(), self._timeline.end, self._rate)) is not None:
            if self._activity.sound(self._turn.open, cut) >= LEAST_SOUND_SECONDS * self._rate:
                self._turn.closed.append((self._turn.open, cut))
            self._turn.open = cut
        self._forget()

    def check(self, ask: Ask) -> None:
        """Raise InvalidRequest unless the request lies within the turn."""
        if not self._turn.start <= ask.through <= self._timeline.end:
            raise InvalidRequest(
                "transcribe.through_sample",
                f"{ask.through} is not from {self._turn.start}, where the last final transcript ended, "
                f"to {self._timeline.end}, where the audio sent so far ends",
            )

    def known(self, through: int) -> Understood | None:
        """The transcript up to there, if no sound lies between it and an earlier decode."""
        if self._turn.latest is not None and self.same(self._turn.latest[0], through):
            return self._turn.latest[1]
        return None

    def same(self, one: int, other: int) -> bool:
        """Whether no sound worth mentioning lies between two positions."""
        return self._activity.sound(min(one, other), max(one, other)) < NEW_SOUND_SECONDS * self._rate

    def task(self, kind: Kind, through: int, words: bool) -> Task:
        """What has to be decoded for a transcript up to there; without pieces there is nothing to decode."""
        spans = [(a, min(b, through)) for a, b in self._turn.closed if a < through]
        closed = sum(b == end for (_, b), (_, end) in zip(self._turn.closed, spans, strict=False))
        self._turn.tried = max(self._turn.tried, through)
        return self._task_of([*spans, (self._turn.open, through)], kind, through, words, closed)

    def finish(self, through: int) -> None:
        """The turn ends there: what comes next is a new one."""
        self._turn = _Turn(self.turn + 1, through, through, through)
        self._forget()

    def settle(self) -> Task | None:
        """Pieces that are complete and not understood yet."""
        closed = self._turn.closed
        return self._task_of(closed, Kind.SETTLE, self._turn.open, True, len(closed)) if closed else None

    def partial(self) -> Task | None:
        """A decode that nobody asked for, if there is enough new sound or a pause after some."""
        runs = self._runs()
        end = self._timeline.end
        new = self._activity.sound(self._turn.tried, end)
        pause = bool(runs) and end - runs[-1][1] >= PAUSE_SECONDS * self._rate
        if new >= self._partial_seconds * self._rate or (pause and new >= NEW_SOUND_SECONDS * self._rate):
            task = self.task(Kind.PARTIAL, end, words=pause)
            return task if task.pieces else None
        return None

    def learn(self, task: Task, heard: tuple[Understood, ...]) -> Hypothesis | None:
        """Take in what a decode of this turn understood; None if the turn is over."""
        if task.turn != self.turn:
            return None
        whole = joined((*task.before, *heard))
        reach = self._turn.latest[0] if self._turn.latest else 0
        if task.words and task.hints == self._hints and task.through >= reach:
            self._turn.latest = task.through, whole
        if task.closed and task.words and len(task.before) == len(self._turn.settled):
            self._turn.settled += heard[: task.closed]
            del self._turn.closed[: task.closed]
            self._forget()
        return Hypothesis(*self._turn.prefix.take(whole.text.split()), task.through)

    def _task_of(self, spans: list[Run], kind: Kind, through: int, words: bool, closed: int) -> Task:
        pieces = [self._piece(first, end) for first, end in spans]
        return Task(
            kind=kind,
            turn=self.turn,
            through=through,
            before=tuple(self._turn.settled),
            pieces=tuple(piece for piece in pieces if piece),
            closed=closed,
            words=words,
            rate=self._rate,
            language=self._language,
            hints=self._hints,
        )

    def _piece(self, first: int, end: int) -> Piece | None:
        runs = self._activity.runs(first, end)
        if sum(b - a for a, b in runs) < LEAST_SOUND_SECONDS * self._rate:
            return None
        start = max(first, runs[0][0] - int(LEAD_SECONDS * self._rate))
        stop = min(end, runs[-1][1] + int(TAIL_SECONDS * self._rate))
        return Piece(start, self._timeline.read(start, stop))

    def _runs(self) -> list[Run]:
        return self._activity.runs(self._turn.open, self._timeline.end)

    def _forget(self) -> None:
        """Drop the sound that no decode will need, such as the silence before the first word of a turn."""
        if self._turn.closed:
            needed = self._turn.closed[0][0]
        else:
            runs = self._runs()
            needed = max(self._turn.open, (runs[0][0] if runs else self._timeline.end) - self._rate)
        self._timeline.forget(needed)
        self._activity.forget(min(needed, self._turn.latest[0] if self._turn.latest else needed))
