"""The functions one agent's language model may call."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
from jsonschema import Draft202012Validator

from agent.definition import AgentDefinition
from agent.tools.builtin import ON_THE_BOOK, action_of, spec_of, work_on
from agent.tools.calendar import Calendar
from agent.tools.hours import Unclear
from agent.tools.results import ToolContext, ToolResult, ToolSpec, error_result
from agent.tools.webhook import call_webhook
from services.errors import Busy, Unavailable

log = logging.getLogger(__name__)

LONGEST_ARGUMENTS = 32 * 1024
"""Characters of JSON."""
LONGEST_PROBLEM = 300
"""Characters of what is wrong with them, which repeats them."""


class Toolbox:
    """All tools of one agent; shared by its calls."""

    def __init__(self, definition: AgentDefinition, calendar: Calendar, session: aiohttp.ClientSession) -> None:
        self._definition = definition
        self._calendar = calendar
        self._session = session
        self._webhooks = {webhook.name: webhook for webhook in definition.tool}
        specs = [spec_of(name, definition) for name in definition.tools]
        specs += [
            ToolSpec(w.name, w.description, json.dumps(w.parameters), w.effect, w.waiting_phrase)
            for w in definition.tool
        ]
        self._specs = {spec.name: spec for spec in specs}
        self._validators = {spec.name: Draft202012Validator(json.loads(spec.parameters_json)) for spec in specs}

    @property
    def specs(self) -> Sequence[ToolSpec]:
        """What to tell the language model, in the definition's order."""
        return tuple(self._specs.values())

    def spec(self, name: str) -> ToolSpec | None:
        """The tool of that name."""
        return self._specs.get(name)

    async def call(self, name: str, arguments_json: str, context: ToolContext) -> ToolResult:
        """Carry out one call. Never raises for what a model, a webhook or the calendar does wrong: those are results
        with `error`. A write repeated with the same key returns its first result. Bounded by the tool's time-out.
        Cancelling it does not undo a write that has begun: shield writes."""
        spec = self._specs.get(name)
        if spec is None:
            return error_result("unknown_tool", f"valid: {', '.join(self._specs) or 'none'}")
        arguments = self._parse(name, arguments_json)
        if isinstance(arguments, ToolResult):
            return arguments
        key = context.key(name, arguments)
        try:
            if name in self._webhooks:
                return await self._post(spec, arguments, context, key)
            if name in ON_THE_BOOK:
                async with asyncio.timeout(self._definition.tool_seconds):
                    return await self._book(spec, arguments, context, key)
            return action_of(name, arguments, self._definition)
        except Unclear as problem:
            return error_result("invalid", str(problem))
        except TimeoutError:
            return error_result("timeout", "the calendar did not answer in time; it may have been done: look first")
        except (sqlite3.Error, Busy, Unavailable) as error:
            log.error("calendar failed", extra={"tool": name, "error": str(error)})
            return error_result("unavailable", "the calendar cannot be used now; offer to take a message or call back")

    def _parse(self, name: str, arguments_json: str) -> Mapping[str, Any] | ToolResult:
        if len(arguments_json) > LONGEST_ARGUMENTS:
            return error_result("invalid_arguments", f"longer than {LONGEST_ARGUMENTS} characters")
        try:
            arguments = json.loads(arguments_json or "{}")
            json.dumps(arguments, ensure_ascii=False).encode()  # half a surrogate pair can be stored nowhere
        except (ValueError, RecursionError) as problem:
            return error_result("invalid_arguments", f"not JSON: {problem}")
        if mistake := next(self._validators[name].iter_errors(arguments), None):
            where = ".".join(str(part) for part in mistake.absolute_path)
            told = mistake.message[:LONGEST_PROBLEM]
            return error_result("invalid_arguments", f"{where}: {told}" if where else told)
        valid: Mapping[str, Any] = arguments
        return valid

    async def _book(self, spec: ToolSpec, arguments: Mapping[str, Any], context: ToolContext, key: str) -> ToolResult:
        work = work_on(spec.name, arguments, context)
        if spec.effect == "read":
            return ToolResult(json.dumps(await self._calendar.read(work)))
        content, repeated = await self._calendar.write(key, work)
        return ToolResult(json.dumps(content), repeated=repeated)

    async def _post(self, spec: ToolSpec, arguments: Mapping[str, Any], context: ToolContext, key: str) -> ToolResult:
        webhook = self._webhooks[spec.name]
        if spec.effect == "read":
            return await call_webhook(self._session, webhook, arguments, context.call_id, key)
        if (stored := await self._calendar.stored(key)) is not None:
            return ToolResult(json.dumps(stored), repeated=True)
        result = await call_webhook(self._session, webhook, arguments, context.call_id, key)
        content = json.loads(result.content_json)
        await self._calendar.write(key, lambda _: content)
        return result
