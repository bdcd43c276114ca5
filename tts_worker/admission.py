"""PURE: how many streams there may be, and which of them the engine serves next. Times are arguments."""

from collections.abc import Hashable
from dataclasses import dataclass, field

from services.errors import Busy

RETRY_AFTER = 1.0
"""Seconds; about the length of a phrase."""
TOO_LATE = 2.0
"""Seconds that a stream on the line has waited beyond its due: one more would make it worse for all."""


@dataclass
class Line:
    """Streams in front of one engine thread, the one whose listener runs out of sound first in front.

    A stream is due when what it has been given so far will have been played. A first phrase is due at once, so it
    passes every stream that is ahead of its listener, and waits for those that are behind.
    """

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
        self.lines[index].enter(stream)
        return index
