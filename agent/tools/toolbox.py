"""The functions one agent's language model may call."""

from collections.abc import Sequence

import aiohttp

from agent.definition import AgentDefinition
from agent.tools.calendar import Calendar
from agent.tools.results import ToolContext, ToolResult, ToolSpec


class Toolbox:
    """All tools of one agent; shared by its calls."""

    def __init__(self, definition: AgentDefinition, calendar: Calendar | None, session: aiohttp.ClientSession) -> None:
        raise NotImplementedError

    @property
    def specs(self) -> Sequence[ToolSpec]:
        """What to tell the language model, in the definition's order."""
        raise NotImplementedError

    def spec(self, name: str) -> ToolSpec | None:
        """The tool of that name."""
        raise NotImplementedError

    async def call(self, name: str, arguments_json: str, context: ToolContext) -> ToolResult:
        """Carry out one call. Never raises for what a model, a webhook or the calendar does wrong: those are results
        with `error`. A write repeated with the same key returns its first result. Bounded by the tool's time-out.
        Cancelling it does not undo a write that has begun: shield writes."""
        raise NotImplementedError
