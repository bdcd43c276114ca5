"""What the scripted workers share: faults on demand, a stream's requests and responses."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from protos import common_pb2
from services.errors import ServiceError

ENDED = object()


@dataclass
class Faults:
    """What goes wrong; tests change it while streams run."""

    on_open: ServiceError | None = None
    slow_open: float = 0.0
    held: bool = False
    """Results wait."""
    bug: bool = False
    """An exception after `opened`."""
    deaf: bool = False
    """After `open` nothing is read."""
    drain_seconds: float = 30.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    draining: bool = False

    def set(self, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(self, name, value)
        self.changed.set()
        self.changed = asyncio.Event()

    async def release(self) -> None:
        while self.held:
            await self.changed.wait()


class Base:
    """A stream at a time: requests in, `out` put by handlers and by draining."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.streams: list[list[Any]] = []
        self.ended = 0

    async def serve(self, requests: Any, handler: Callable[[Any, Any], Any], opened: Any, draining: Any) -> Any:
        out: asyncio.Queue[Any] = asyncio.Queue()
        log: list[Any] = []
        self.streams.append(log)
        if self.faults.slow_open:
            await asyncio.sleep(self.faults.slow_open)
        if self.faults.on_open:
            raise self.faults.on_open
        log.append(await anext(aiter(requests)))
        await handler(log[0], out)
        tasks = [
            asyncio.create_task(self._read(requests, log, handler, out)),
            asyncio.create_task(self._watch_drain(out, draining)),
        ]
        try:
            yield opened
            if self.faults.bug:
                raise ZeroDivisionError("as told")
            while (response := await out.get()) is not ENDED:
                if isinstance(response, ServiceError):
                    raise response
                yield response
        finally:
            self.ended += 1
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, requests: Any, log: list[Any], handler: Any, out: Any) -> None:
        try:
            while self.faults.deaf:
                await self.faults.changed.wait()
            async for request in requests:
                log.append(request)
                await handler(request, out)
        except ServiceError as error:
            out.put_nowait(error)

    async def _watch_drain(self, out: Any, draining: Any) -> None:
        while not self.faults.draining:
            await self.faults.changed.wait()
        out.put_nowait(draining(common_pb2.Draining(deadline_seconds=self.faults.drain_seconds)))
