"""The simulated world gives the results that the agent's own tools give."""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.tools import Toolbox, ToolContext
from agent.tools.appointments import appointments_in
from agent.tools.builtin import TABLE
from llm_worker.forge.hours import Hours, parse_open
from llm_worker.forge.world import Setup, World, tools
from tests.agent.tools.support import NOW, desk, toolbox

NAMES = [
    "find_slots",
    "book_appointment",
    "move_appointment",
    "cancel_appointment",
    "take_message",
    "transfer_call",
    "end_call",
]
HOURS = Hours(
    parse_open({"monday": ["09:00-12:00", "13:00-14:00"], "tuesday": ["09:00-17:00"]}),
    closed_days=frozenset({date(2026, 3, 9)}),
)

people = st.sampled_from(
    ["Anna Miller", "Anna Mueller", "Katherine Moore", "Catherine More", "Mr. John Smith", "Joan Smith", "...", ""]
)
days = st.sampled_from(
    [
        "2026-03-01",
        "2026-03-02",
        "2026-03-03",
        "2026-03-09",
        "2026-03-07",
        "2026-02-23",
        "2027-01-04",
        " 2026-03-02",
        "next",
    ]
)
times = st.sampled_from(
    ["09:00", "9:30", "10:00", "10:10", "12:30", "1 pm", "13:30:00", "2:30 pm", "25:00", "half nine"]
)


def some(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


ARGUMENTS = {
    "find_slots": some({"day": days}, {"after": times}),
    "book_appointment": some({"name": people, "day": days, "time": times}, {"reason": st.just("check-up")}),
    "move_appointment": some({"name": people, "new_day": days, "new_time": times}, {"day": days, "time": times}),
    "cancel_appointment": some({"name": people}, {"day": days, "time": times}),
    "take_message": some({"name": people, "text": st.just("call me")}, {"number": st.just("555")}),
    "transfer_call": some({}, {"target": st.sampled_from(["reception", "nobody"])}),
    "end_call": some({}, {"why": st.just(1)}),
}
Asked = tuple[str, str, str]


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    """An id (few, so that they repeat), a tool, its arguments as JSON, sometimes broken."""
    name = draw(st.sampled_from([*NAMES, "book_appointment", "book_appointment", "move_appointment"]))
    arguments = json.dumps(draw(ARGUMENTS[name]))
    broken = draw(st.integers(0, 19))
    return draw(st.sampled_from("abcdef")), "fly" if broken == 1 else name, arguments[:-1] if broken == 0 else arguments


async def _by_agent(calls: Sequence[Asked]) -> tuple[list[Any], list[Any]]:
    whole = desk()
    calendar = whole.calendar.model_copy(update={"closed_days": (date(2026, 3, 9),)})
    definition = whole.model_copy(update={"tools": tuple(NAMES), "calendar": calendar})
    with tempfile.TemporaryDirectory() as folder:
        async with toolbox(Path(folder), definition) as box:
            results = [await _one(box, *call) for call in calls]
        entries = appointments_in(Path(folder) / "calendar.sqlite")
    return results, [(e.appointment_id, e.name, e.day, e.time) for e in entries]


async def _one(box: Toolbox, call_id: str, name: str, arguments: str) -> Any:
    result = await box.call(name, arguments, ToolContext("call", call_id, caller="+12025550123"))
    return json.loads(result.content_json)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(asked(), min_size=1, max_size=25))
def test_the_same_calls_have_the_same_results(calls: list[Asked]) -> None:
    expected, entries = asyncio.run(_by_agent(calls))
    setup = Setup(HOURS, NOW.replace(tzinfo=None), tools(NAMES, ["reception", "doctor"]), caller="+12025550123")
    world = World(setup)
    assert [json.loads(world.call(*call)) for call in calls] == expected
    assert [(e.appointment_id, e.name, e.day, e.time) for e in world.state().appointments] == entries
    world.close()


def test_the_model_is_told_the_same_of_the_tools() -> None:
    made = {tool.name: tool for tool in tools(TABLE, ["reception"])}
    for name, (_, description, schema) in TABLE.items():
        assert made[name].description == description
        if name != "transfer_call":
            assert made[name].parameters == schema


def test_what_happened_to_the_call_is_part_of_the_state() -> None:
    world = World(Setup(HOURS, NOW.replace(tzinfo=None), tools(NAMES, ["reception"])))
    world.call("a", "transfer_call", '{"target": "reception"}')
    world.call("b", "end_call", "{}")
    assert (world.state().transferred, world.state().ended) == ("reception", True)
