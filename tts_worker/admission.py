"""PURE: how many streams there may be, and which of them the engine serves next. Times are arguments."""

from collections.abc import Hashable
from dataclasses import dataclass, field

from services.errors import Busy
from tts_worker.engine import FRAME_SECONDS

RETRY_AFTER = 1.0
"""Seconds; about the length of a phrase."""
TOO_LATE = 2.0
"""Seconds that a stream on the line has waited beyond its due: one more would make it worse for all."""


@dataclass
class StepTime:
    """How long a step of many streams takes, learned while they speak: a + b · streams, recent steps counting most.

    For engines that make a frame of every stream in each step; the step must be shorter than the frame. Steps while a
    prompt is read say little of the others but are part of the load: what they take longer is spread over all steps.
    """

    share: float = 0.9
    """Of a frame that a step may take."""
    _weight: float = 0.0
    _sums: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # of n, t, n², n·t
    _prompts: float = 0.0

    _FORGET = 0.98

    def observe(self, streams: int, seconds: float, prompts: bool = False) -> None:
        """A step is over; `prompts`: there were some to read."""
        longer = seconds - self._steady(streams) if prompts else 0.0
        self._prompts = max(0.0, self._FORGET * self._prompts + (1 - self._FORGET) * longer)
        if prompts:
            return
        new = (float(streams), seconds, float(streams**2), streams * seconds)
        self._weight = self._weight * self._FORGET + 1
        n, t, nn, nt = (old * self._FORGET + value for old, value in zip(self._sums, new, strict=True))
        self._sums = (n, t, nn, nt)

    def predicted(self, streams: int) -> float:
        """Seconds of a step of so many; 0 while nothing is known. A larger batch is never taken to be quicker."""
        return self._steady(streams) + self._prompts

    def _steady(self, streams: int) -> float:
        """Where no prompt is read."""
        if not self._weight:
            return 0.0
        n, t, nn, nt = (value / self._weight for value in self._sums)
        spread = nn - n * n
        # Where all steps were alike nothing tells what one more costs: as if all of it were in proportion.
        slope = (nt - n * t) / spread if spread > 0.25 else t / n
        return t + max(0.0, slope) * (streams - n)

    def allows(self, streams: int, frame: float) -> bool:
        """Whether so many would stay in real time."""
        return self.predicted(streams) <= self.share * frame


@dataclass
class Line:
    """Streams in front of one engine thread, the one whose listener runs out of sound first in front.

    A stream is due when what it has been given so far will have been played. A first phrase is due at once, so it
    passes every stream that is ahead of its listener, and waits for those that are behind.
    """

    step_time: StepTime | None = None
    """Of engines that make a frame of every stream in each step."""
    _due: dict[Hashable, float] = field(default_factory=dict)
    _waiting: dict[Hashable, None] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._due)

    def enter(self, stream: Hashable) -> None:
        """A new stream; it waits for nothing yet."""
        self._due[stream] = 0.0

    def leave(self, stream: Hashable) -> None:
        """Forget the stream, also if it is waiting. Leaving twice is no error."""
        self._due.pop(stream, None)
        self._waiting.pop(stream, None)

    def ask(self, stream: Hashable, now: float) -> None:
        """The stream wants its next piece."""
        self._due[stream] = max(self._due[stream], now)
        self._waiting[stream] = None

    def late(self, now: float) -> float:
        """Seconds by which the most urgent stream that waits is past its due."""
        return max((now - self._due[stream] for stream in self._waiting), default=0.0)

    def pick(self, limit: int) -> list[Hashable]:
        """At most `limit` waiting streams, most urgent first; they wait no longer."""
        chosen = sorted(self._waiting, key=self._due.__getitem__)[:limit]
        for stream in chosen:
            del self._waiting[stream]
        return chosen

    def given(self, stream: Hashable, seconds: float, now: float) -> None:
        """The stream got that much sound; one that has left is passed over."""
        if stream in self._due:
            self._due[stream] = max(self._due[stream], now) + seconds


@dataclass
class Places:
    """A bounded number of streams, each on the line with the fewest."""

    limit: int
    lines: tuple[Line, ...]

    @property
    def taken(self) -> int:
        """Streams there are."""
        return sum(map(len, self.lines))

    def enter(self, stream: Hashable, now: float) -> int:
        """Index of the stream's line. Raises Busy when every place is taken, or the engine cannot keep up."""
        if self.taken >= self.limit:
            raise Busy(f"all {self.limit} places are taken", RETRY_AFTER)
        index = min(range(len(self.lines)), key=lambda i: len(self.lines[i]))
        if (late := self.lines[index].late(now)) > TOO_LATE:
            raise Busy(f"the engine is {late:.1f} s behind", RETRY_AFTER)
        line = self.lines[index]
        if line.step_time is not None and not line.step_time.allows(len(line) + 1, FRAME_SECONDS):
            raise Busy(f"{len(line) + 1} streams would not stay in real time", RETRY_AFTER)
        self.lines[index].enter(stream)
        return index
