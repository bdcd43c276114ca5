"""Tools in one call: what the model asks for is done here, and nowhere else; its result always goes back.

A write waits for the confirmed end of the caller's turn, is not cancelled by an interruption, and is done once.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Protocol

from agent.clients import Mind
from agent.clients.types import Role, ToolCall
from agent.digits import DigitCollector
from agent.store.store import CallRecord
from agent.telephony.leg import Leg, TransferFailed
from agent.tools.results import Action, CollectDigits, ToolContext, ToolResult, TransferCall
from agent.tools.toolbox import Toolbox

log = logging.getLogger(__name__)

_TONE_SECONDS = 0.5
"""A key is told when it goes down; its tone may be in the sound too, which comes later: so long it stays hidden."""
_INTERRUPTED = json.dumps({"error": "interrupted", "detail": "the caller spoke before this was done"})


class Asker(Protocol):
    """The answer that a tool is called for."""

    confirmed: asyncio.Event
    """The caller has finished."""
    committed: bool

    def commit(self) -> None:
        """What was asked can no longer be taken back."""

    def say(self, text: str) -> None:
        """Say a fixed text after what has been said so far."""

    async def said(self) -> None:
        """Return once all text so far has been spoken and handed to the leg."""


class Tooling:
    """The tools of one call. `group` outlives every answer: writes run in it."""

    def __init__(
        self,
        leg: Leg,
        toolbox: Toolbox,
        mind: Mind,
        record: CallRecord,
        group: asyncio.TaskGroup,
        new_id: Callable[[], int],
        elapsed: Callable[[], float],
        hide: Callable[[bool], None],
    ) -> None:
        """`hide` keeps what is heard and said out of the recording, while it is True."""
        self.call_id = leg.info.id
        self._leg = leg
        self._toolbox = toolbox
        self._mind = mind
        self._record = record
        self._group = group
        self._new_id = new_id
        self._elapsed = elapsed
        self._hide = hide
        self._loop = asyncio.get_running_loop()
        self._writes: set[asyncio.Task[ToolResult]] = set()
        self._given: set[str] = set()
        self._collector: DigitCollector | None = None
        self._key_pressed = asyncio.Event()
        self._show_again: asyncio.TimerHandle | None = None
        self.mask_digits = False
        """What the caller presses now must not be kept."""

    @property
    def idle(self) -> bool:
        """No write is under way."""
        return not self._writes

    async def settled(self) -> None:
        """Return once no write is under way, so that its result stands in the history before the next question."""
        if self._writes:
            await asyncio.wait(self._writes)

    def give_up(self) -> None:
        """The call is over, and what is not done by now is left."""
        for write in self._writes:
            log.warning("a tool was not done when the call had ended", extra={"tool_call": write.get_name()})
            write.cancel()

    def waiting_phrase(self, tool: str) -> str:
        """What to say when `tool` takes long; empty: nothing."""
        spec = self._toolbox.spec(tool)
        return spec.waiting_phrase if spec else ""

    def press(self, key: str) -> None:
        """The caller pressed a key."""
        if self._collector is not None:
            self._collector.press(key, self._loop.time())
            self._key_pressed.set()

    async def run(self, call: ToolCall, asker: Asker) -> Action | None:
        """Do what `call` asks and give the model its result. Returns what is left for the call to do (EndCall).

        Cancelled: a write goes on by itself; anything else is told to the model as interrupted.
        """
        spec = self._toolbox.spec(call.name)
        try:
            if spec is None or spec.effect == "read":
                result = await self._toolbox.call(call.name, call.arguments_json, self._context(call))
                action = result.action
            else:
                await asker.confirmed.wait()
                asker.commit()
                write = self._group.create_task(self._write(call), name=call.id)
                self._writes.add(write)
                write.add_done_callback(self._writes.discard)
                result = await asyncio.shield(write)
                action = result.action
                if not isinstance(action, TransferCall | CollectDigits):
                    return action
            content, shown = await self._carry_out(action, asker) if action else (result.content_json, "")
        except asyncio.CancelledError:
            if asker.committed:
                self.refuse(call)
            raise
        self._give(call, content, shown)
        return action

    def refuse(self, call: ToolCall) -> None:
        """Tell the model that a call was not carried out because the caller spoke. A write under way, and a call that
        has its result, are left alone."""
        if not any(write.get_name() == call.id for write in self._writes):
            self._give(call, _INTERRUPTED)

    async def _write(self, call: ToolCall) -> ToolResult:
        result = await self._toolbox.call(call.name, call.arguments_json, self._context(call))
        if not isinstance(result.action, TransferCall | CollectDigits):
            self._give(call, result.content_json)
        return result

    def _context(self, call: ToolCall) -> ToolContext:
        return ToolContext(self.call_id, call.id, self._leg.info.caller)

    def _give(self, call: ToolCall, content: str, shown: str = "") -> None:
        """Hand the model its result; `shown` is what the record may keep of it, where that is not all."""
        if call.id in self._given:
            return
        self._given.add(call.id)
        self._mind.append(self._new_id(), Role.TOOL, content, tool_call_id=call.id)
        kept = shown or content
        self._record.event("tool", self._elapsed(), name=call.name, arguments=call.arguments_json, result=kept)

    # -- what only the call itself can do ----------------------------------------------------------------------------

    async def _carry_out(self, action: Action, asker: Asker) -> tuple[str, str]:
        """The result for the model, and what of it the record may keep (empty: all)."""
        if isinstance(action, CollectDigits):
            asker.say(action.prompt)
            await asker.said()
            return await self._collect(action)
        await asker.said()
        if isinstance(action, TransferCall):
            try:
                await self._leg.transfer(action.number)
            except TransferFailed as failure:
                return TransferCall.failed(str(failure)), ""
        return json.dumps({"done": True}), ""

    async def _collect(self, action: CollectDigits) -> tuple[str, str]:
        now = self._loop.time
        collector = DigitCollector(action.max_digits, action.terminator, action.timeout_seconds, since=now())
        self._collector, self.mask_digits = collector, action.masked
        if self._show_again is not None:
            self._show_again.cancel()
        self._hide(action.masked)
        try:
            while (remaining := collector.remaining(now())) > 0:
                self._key_pressed.clear()
                try:
                    await asyncio.wait_for(self._key_pressed.wait(), remaining)
                except TimeoutError:
                    break
        finally:
            self._collector, self.mask_digits = None, False
            self._show_again = self._loop.call_later(_TONE_SECONDS, self._hide, False)
        entered = collector.digits, collector.complete
        return CollectDigits.collected(*entered), action.shown(*entered)
