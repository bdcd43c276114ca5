"""The events of one leg on their way to the task that serves the call."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from agent.telephony.leg import Ended, LegEvent

LIMIT = 256
"""Events that may wait. A peer that sends keys faster than the call takes them loses the newest."""


class Mailbox:
    """Events in order, for one consumer; closed by Ended. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._waiting: deque[LegEvent] = deque()
        self._arrived = asyncio.Event()
        self.closed = False
        self.dropped = 0
        """Events refused because LIMIT others waited."""

    def put(self, event: LegEvent) -> None:
        """Add an event; Ended always fits and closes the box, nothing is taken after it."""
        if self.closed:
            return
        if isinstance(event, Ended):
            self.closed = True
        elif len(self._waiting) >= LIMIT:
            self.dropped += 1
            return
        self._waiting.append(event)
        self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[LegEvent]:
        """Every event until and with Ended."""
        while True:
            while self._waiting:
                event = self._waiting.popleft()
                yield event
                if isinstance(event, Ended):
                    return
            if self.closed:
                return
            self._arrived.clear()
            await self._arrived.wait()
