"""A desk with a calendar that is open on weekdays, at a time that stands still."""

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from agent.definition import AgentDefinition
from agent.directory import parse_agent
from agent.tools import Calendar, Toolbox, ToolContext
from agent.tools.appointments import appointments_in

ids = itertools.count()
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)  # a Sunday
MONDAY = "2026-03-02"
SATURDAY = "2026-03-07"
DESK = """
name = "desk"
prompt = "Be kind."
tools = ["find_slots", "book_appointment", "move_appointment", "cancel_appointment", "take_message", "transfer_call",
    "end_call", "collect_digits"]
waiting_phrase = "One moment."
tool_seconds = 60
[transfer]
reception = "+12025550100"
doctor = "sip:doctor@example.org"
[calendar]
timezone = "UTC"
slot_minutes = 30
[calendar.open]
monday = ["09:00-12:00", "13:00-14:00"]
tuesday = ["09:00-17:00"]
"""


def desk(more: str = "") -> AgentDefinition:
    return parse_agent(DESK + more, "desk.toml")


@asynccontextmanager
async def toolbox(directory: Path, definition: AgentDefinition | None = None) -> AsyncIterator[Toolbox]:
    definition = definition or desk()
    async with (
        Calendar.open(directory / "calendar.sqlite", definition.calendar, lambda: NOW) as calendar,
        aiohttp.ClientSession() as session,
    ):
        yield Toolbox(definition, calendar, session)


async def ask(box: Toolbox, name: str, key: str = "", /, **arguments: Any) -> dict[str, Any]:
    """The tool's result; `key` is the tool call's id, a new one if it is empty."""
    context = ToolContext("call", key or f"tool-{next(ids)}", caller="+12025550123")
    content: dict[str, Any] = json.loads((await box.call(name, json.dumps(arguments), context)).content_json)
    return content


def booked(directory: Path) -> list[tuple[str, str, str]]:
    return [(entry.name, entry.day, entry.time) for entry in appointments_in(directory / "calendar.sqlite")]
