"""What a client has for its caller: a queue that can be ended, by an error too."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

from services.errors import ServiceError

E = TypeVar("E")


class Inbox(Generic[E]):
    """Bounded: a stream that delivers faster than its caller listens waits in `deliver`, and gRPC's flow control
    passes that on to the worker. The few events that the client makes itself are posted past the bound."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._events: deque[E] = deque()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._ended = False
        self._error: ServiceError | None = None

    async def deliver(self, event: E) -> None:
        """Add an event, once there is room."""
        while len(self._events) >= self._limit:
            self._room.clear()
            await self._room.wait()
        self.post(event)

    def post(self, event: E) -> None:
        """Add an event at once. Nothing is added after the end."""
        if not self._ended:
            self._events.append(event)
            self._wake.set()

    def end(self, error: ServiceError | None = None) -> None:
        """Nothing more comes; the listener gets what is there, then `error`."""
        if not self._ended:
            self._ended, self._error = True, error
            self._wake.set()

    async def listen(self) -> AsyncIterator[E]:
        """The events in order; one listener."""
        while True:
            while self._events:
                event = self._events.popleft()
                self._room.set()
                yield event
            if self._ended:
                break
            self._wake.clear()
            await self._wake.wait()
        if self._error is not None:
            raise self._error
