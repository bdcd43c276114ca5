"""What waits for the client of one stream. A client that reads slowly blocks only itself."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from stt_worker.stream import Hypothesis
from stt_worker.transcript import NOTHING, Ask, Understood


@dataclass(frozen=True)
class Answer:
    """To one request."""

    ask: Ask
    understood: Understood = NOTHING
    superseded: bool = False
    queue_seconds: float = 0.0
    decode_seconds: float = 0.0


@dataclass(frozen=True)
class Leaving:
    """The worker goes in so many seconds."""

    seconds: float


Result = Answer | Hypothesis | Leaving


class Outbox:
    """Results in order, of hypotheses only the newest. Bounded by its producer, who asks `len` before it makes more."""

    def __init__(self) -> None:
        self._results: deque[Result] = deque()
        self._error: BaseException | None = None
        self._closed = False
        self._changed = asyncio.Event()
        self.taken = asyncio.Event()
        """Set each time the client took something."""

    def __len__(self) -> int:
        return len(self._results)

    def put(self, result: Result) -> None:
        """Add a result; it replaces a hypothesis that was not taken yet, which it makes old news."""
        if self._results and isinstance(self._results[-1], Hypothesis):
            self._results.pop()
        self._results.append(result)
        self._changed.set()

    def close(self, error: BaseException | None = None) -> None:
        """End the stream once everything is taken, or at once with an error. The first call counts."""
        if not self._closed:
            self._closed, self._error = True, error
            self._changed.set()

    async def results(self) -> AsyncIterator[Result]:
        """Every result as it comes. Raises the error of `close`."""
        while True:
            if self._error is not None:
                raise self._error
            if self._results:
                result = self._results.popleft()
                self.taken.set()
                yield result
            elif self._closed:
                return
            else:
                self._changed.clear()
                await self._changed.wait()
