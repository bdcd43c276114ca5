"""All calls of one process: which are taken, by which agent, and how they are ended."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from agent import metrics
from agent.call import Call, Parts
from agent.clients import Workers
from agent.definition import AgentDefinition
from agent.directory import Directory
from agent.http import DialRefused
from agent.telephony.leg import EndReason, Leg
from agent.telephony.policy import TargetRefused
from agent.telephony.sip import SipError
from agent.tools.toolbox import Toolbox
from agent.webhook import EndOfCall
from services.errors import NotFound

log = logging.getLogger(__name__)

_HEALTH_EVERY = 2.0


class Carrier(Protocol):
    """Where legs come from: the SIP runtime, or a test."""

    def incoming(self) -> AsyncIterator[Leg]:
        """Calls that wait for an answer."""

    async def dial(self, target: str) -> Leg:
        """Begin an outbound call. Raises TargetRefused, SipError."""

    @property
    def healthy(self) -> bool:
        """Calls can come in."""


class Switchboard:
    """Owns the calls. Each runs in a task of `group`, so that no call can bring down another."""

    def __init__(
        self,
        carrier: Carrier,
        directory: Directory,
        toolboxes: Mapping[str, Toolbox],
        parts: Parts,
        workers: Mapping[str, Workers],
        end_of_call: EndOfCall,
    ) -> None:
        self._carrier = carrier
        self._directory = directory
        self._toolboxes = toolboxes
        self._parts = parts
        self._workers = workers
        self._end_of_call = end_of_call
        self._calls: dict[str, tuple[Call, asyncio.Task[None]]] = {}
        self._health: dict[str, dict[str, str]] = {}
        self._draining = False
        self._loop = asyncio.get_running_loop()

    async def serve(self) -> None:
        """Take calls until cancelled. Raises SipError when the SIP stack dies."""
        async for leg in self._carrier.incoming():
            definition = self._directory.for_number(leg.info.called)
            if definition is None or self._draining:
                await self._refuse(leg, "draining" if definition else "no agent answers this number")
            else:
                self._start(leg, definition)

    async def watch_workers(self) -> None:
        """Ask the workers how they are, until cancelled; `ready` tells the last answer."""
        while True:
            names = list(self._workers)
            answers = await asyncio.gather(*(self._workers[name].health() for name in names))
            self._health = {name: dict(answer) for name, answer in zip(names, answers, strict=True)}
            await asyncio.sleep(_HEALTH_EVERY)

    async def dial(self, number: str, agent: str) -> str:
        """See agent.http.Switchboard."""
        definition = self._directory.agents.get(agent)
        if definition is None:
            raise NotFound(f"no agent {agent!r}; there are {', '.join(self._directory.agents)}")
        if self._draining:
            raise DialRefused("this agent is about to stop; ask another one")
        try:
            leg = await self._carrier.dial(number)
        except (TargetRefused, SipError) as error:
            raise DialRefused(str(error)) from None
        self._start(leg, definition)
        return leg.info.id

    async def hang_up(self, call_id: str) -> bool:
        """See agent.http.Switchboard."""
        entry = self._calls.get(call_id)
        if entry is not None:
            entry[0].hang_up(EndReason.AGENT_HUNG_UP)
        return entry is not None

    def active(self) -> Sequence[dict[str, Any]]:
        """See agent.http.Switchboard."""
        return [
            {
                "id": call_id,
                "agent": call.definition.name,
                "direction": call.leg.info.direction,
                "seconds": round(call.elapsed(), 1),
                "connected": call.connected_at is not None,
            }
            for call_id, (call, _) in self._calls.items()
        ]

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """See agent.http.Switchboard: ready when a worker of each kind serves and calls are taken."""
        served = {name: "serving" in self._health.get(name, {}).values() for name in self._workers}
        prepared = all(self._parts.ready_made.prepared(d) for d in self._directory.agents.values())
        state = {
            "workers": self._health,
            "prepared": prepared,
            "sip": self._carrier.healthy,
            "draining": self._draining,
            "calls": len(self._calls),
        }
        return all(served.values()) and prepared and self._carrier.healthy and not self._draining, state

    async def drain(self, seconds: float) -> None:
        """Take no more calls; return when the last has ended, or after `seconds`, then ending what is left."""
        self._draining = True
        tasks = [task for _, task in self._calls.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for call, _ in list(self._calls.values()):
            call.hang_up(EndReason.DRAINED)
        if left := [task for _, task in self._calls.values()]:
            await asyncio.wait(left, timeout=5)

    async def _refuse(self, leg: Leg, why: str) -> None:
        log.warning("refused a call", extra={"why": why})
        record = self._parts.store.begin(leg.info, "")
        record.ended(EndReason.REFUSED, why)
        metrics.CALLS.labels(leg.info.kind, EndReason.REFUSED).inc()
        await leg.reject(EndReason.REFUSED)

    def _start(self, leg: Leg, definition: AgentDefinition) -> None:
        call = Call(leg, definition, self._toolboxes[definition.name], self._parts)
        task = self._loop.create_task(call.run(), name=f"call {leg.info.id}")
        self._calls[leg.info.id] = (call, task)
        task.add_done_callback(lambda done: self._over(leg.info.id, definition, done))

    def _over(self, call_id: str, definition: AgentDefinition, task: asyncio.Task[None]) -> None:
        del self._calls[call_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a call ended with an unexpected error", exc_info=error, extra={"call_id": call_id})
        if definition.ended is not None:
            self._end_of_call.post(definition.ended, call_id)
