"""One call from its leg's first event to its last: one task group, its loops, its record and its end."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from agent import metrics
from agent.around import Around
from agent.clients import LanguageModel, SpeechToText, TextToSpeech
from agent.clients.types import EarBack, EarEvent, EarLost, Partial, Transcript
from agent.conversation import Conversation
from agent.definition import AgentDefinition
from agent.dialogue import Ids, opening
from agent.hearing import Hearing
from agent.line import Line
from agent.listening.pool import ListeningPool
from agent.listening.turn_model import TurnModel
from agent.readymade import ReadyMade
from agent.recording import Recording
from agent.store import Store
from agent.telephony.leg import Connected, Digit, Ended, EndReason, Leg, LegEvent, RemoteHold
from agent.telephony.pump import Pump
from agent.tooling import Tooling
from agent.tools.toolbox import Toolbox
from agent.turnlog import TurnLog
from services.errors import ServiceError
from services.telemetry import call_id

log = logging.getLogger(__name__)

_WRITES_MAY_TAKE = 5.0
"""Seconds that a tool's write may go on after the call."""


@dataclass(frozen=True)
class Parts:
    """What all calls of a process share."""

    pump: Pump
    listening: ListeningPool
    turn_model: TurnModel
    stt: SpeechToText
    llm: LanguageModel
    tts: TextToSpeech
    ready_made: ReadyMade
    store: Store


class Call:
    """`run` returns when the call is over and everything is written."""

    def __init__(self, leg: Leg, definition: AgentDefinition, toolbox: Toolbox, parts: Parts) -> None:
        self.leg = leg
        self.definition = definition
        self.connected_at: float | None = None
        self._toolbox = toolbox
        self._parts = parts
        self._loop = asyncio.get_running_loop()
        self._record = parts.store.begin(leg.info, definition.name)
        self._end_reason: EndReason | None = None  # ours, when we end the call
        self._hanging_up: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Answer (inbound) or wait for the answer (outbound), talk, write the record."""
        call_id.set(self.leg.info.id)
        ended = Ended(EndReason.FAILED, "unexpected error")
        try:
            events = self.leg.events()
            if self.leg.info.direction == "inbound":
                await self.leg.answer()
            async for event in events:
                if isinstance(event, Connected):
                    ended = await self._talk(event, events)
                elif isinstance(event, Ended):
                    ended = event
        finally:
            reason = self._end_reason or ended.reason
            await self.leg.hang_up(reason)
            self._finish(reason, ended.detail)

    def hang_up(self, reason: EndReason) -> None:
        """End the call now; the record says why."""
        self._end_reason = self._end_reason or reason
        if self._hanging_up is None:
            self._hanging_up = self._loop.create_task(self.leg.hang_up(self._end_reason))

    def elapsed(self, at: float | None = None) -> float:
        """Seconds from connection to `at` (now)."""
        at = self._loop.time() if at is None else at
        return at - (at if self.connected_at is None else self.connected_at)

    async def _talk(self, connected: Connected, events: AsyncIterator[LegEvent]) -> Ended:
        self.connected_at = self._loop.time()
        self._record.connected(connected.codec, connected.rate)
        log.info("call connected", extra={"codec": connected.codec, "agent": self.definition.name})
        kind = self.leg.info.kind
        async with AsyncExitStack() as stack:
            stack.enter_context(metrics.CALLS_ACTIVE.labels(kind).track_inprogress())
            return await self._converse(stack, connected.rate, events)

    async def _converse(self, stack: AsyncExitStack, rate: int, events: AsyncIterator[LegEvent]) -> Ended:
        definition, parts, info = self.definition, self._parts, self.leg.info
        new_id = Ids()
        zone = definition.calendar.zone if definition.calendar else ZoneInfo("UTC")
        start = opening(definition, list(self._toolbox.specs), datetime.now(zone), new_id)
        ear = parts.listening.open(rate)
        stack.callback(parts.listening.close, ear)
        recogniser = await stack.enter_async_context(
            parts.stt.open(info.id, rate, definition.language, definition.hints)
        )
        mind = await stack.enter_async_context(parts.llm.open(info.id, start))
        recording = Recording(self._record, rate)
        stack.callback(recording.close)
        async with asyncio.TaskGroup() as group:
            around = Around(
                definition,
                self.leg,
                mind,
                parts.tts,
                parts.ready_made,
                Tooling(self.leg, self._toolbox, mind, self._record, group, new_id, self.elapsed, recording.mask),
                self._record,
                recording,
                TurnLog(self._record, rate, self.elapsed),
                new_id,
                group,
                self.hang_up,
                self.elapsed,
            )
            conversation = Conversation(around, lambda tell: Hearing(ear, recogniser, parts.turn_model, group, tell))
            line = Line(self.leg, ear, conversation, recording, lambda: self.hang_up(EndReason.FAILED))
            parts.pump.add(line)
            conversation.greet()
            loops = [
                group.create_task(self._worker("stt", self._hear(recogniser.events(), conversation))),
                group.create_task(self._worker("llm", conversation.follow(mind.events()))),
                group.create_task(self._limit(conversation)),
            ]
            try:
                return await self._follow(events, line, around, conversation)
            finally:
                parts.pump.remove(line)
                conversation.close()
                for loop in loops:
                    loop.cancel()
                with suppress(TimeoutError):
                    await asyncio.wait_for(around.tooling.settled(), _WRITES_MAY_TAKE)
                around.tooling.give_up()

    # -- loops -------------------------------------------------------------------------------------------------------

    async def _follow(
        self, events: AsyncIterator[LegEvent], line: Line, around: Around, conversation: Conversation
    ) -> Ended:
        """The leg's events, until the last."""
        async for event in events:
            match event:
                case Digit(key):
                    masked = around.tooling.mask_digits
                    self._record.digits(self.elapsed(), key, masked=masked)
                    around.tooling.press(key)
                    if key == self.definition.recording.opt_out_digit and around.recording.refuse():
                        self._record.event("recording", self.elapsed(), allowed=False, by="key")
                case RemoteHold(held):
                    self._record.event("hold", self.elapsed(), held=held)
                    line.hold(held)
                case Ended():
                    return event
                case Connected():
                    pass
        return Ended(EndReason.FAILED, "the leg ended without a reason")

    async def _hear(self, events: AsyncIterator[EarEvent], conversation: Conversation) -> None:
        async for event in events:
            match event:
                case Partial(stable, rest):
                    conversation.partly_heard(stable, rest)
                case Transcript():
                    conversation.heard(event)
                case EarLost(detail):
                    self._record.event("worker_lost", self.elapsed(), worker="stt", detail=detail)
                case EarBack():
                    self._record.event("worker_back", self.elapsed(), worker="stt")

    async def _limit(self, conversation: Conversation) -> None:
        await asyncio.sleep(self.definition.limits.call_seconds)
        conversation.time_over()

    async def _worker(self, name: str, loop: Coroutine[Any, Any, None]) -> None:
        """Run a worker's loop; what even its client cannot mend ends the call with a word of regret."""
        try:
            await loop
        except ServiceError as error:
            log.error("the call cannot go on", extra={"worker": name, "why": str(error)})
            self._record.event("error", self.elapsed(), worker=name, why=str(error))
            self.hang_up(EndReason.FAILED)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _finish(self, reason: EndReason, detail: str) -> None:
        stats = self.leg.stats()
        metrics.CALLS.labels(self.leg.info.kind, reason).inc()
        if self.connected_at is not None:
            metrics.RTP_JITTER.observe(stats.jitter_seconds)
            metrics.RTP_LOST.inc(stats.lost_packets)
        summary = {
            "seconds": self.elapsed(),
            "jitter_seconds": stats.jitter_seconds,
            "lost_packets": stats.lost_packets,
            "round_trip_seconds": stats.round_trip_seconds,
        }
        self._record.ended(reason, detail, summary)
        log.info("call ended", extra={"reason": reason, "detail": detail})
