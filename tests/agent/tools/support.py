"""A desk with a calendar that is open on weekdays, at a time that stands still."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from agent.definition import AgentDefinition
from agent.directory import parse_agent
from agent.tools import Calendar, Toolbox

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
