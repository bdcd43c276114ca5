"""Tools as a language model calls them, on a real calendar file."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agent.tools import CollectDigits, EndCall, Toolbox, ToolContext, TransferCall
from agent.tools.appointments import Appointment, appointments_in
from tests.agent.tools.support import MONDAY, SATURDAY, ask, booked, desk, ids, toolbox


async def test_what_the_model_is_told(tools: Toolbox) -> None:
    specs = {spec.name: spec for spec in tools.specs}
    assert list(specs) == list(desk().tools)
    for spec in specs.values():
        Draft202012Validator.check_schema(json.loads(spec.parameters_json))
        assert spec.description
        assert spec.waiting_phrase == "One moment."
    assert [name for name, spec in specs.items() if spec.effect == "read"] == ["find_slots"]
    assert json.loads(specs["transfer_call"].parameters_json)["properties"]["target"]["enum"] == ["reception", "doctor"]
    assert tools.spec("book_appointment") is specs["book_appointment"]
    assert tools.spec("fly") is None


async def test_free_slots_six_at_most_and_from_a_time_on(tools: Toolbox) -> None:
    assert await ask(tools, "find_slots", day=MONDAY) == {
        "day": MONDAY,
        "weekday": "Monday",
        "slots": ["09:00", "09:30", "10:00", "10:30", "11:00", "11:30"],
    }
    assert await ask(tools, "find_slots", day=MONDAY, after="11:15") == {
        "day": MONDAY,
        "weekday": "Monday",
        "slots": ["11:30", "13:00", "13:30"],
    }


async def test_why_there_are_no_slots(tools: Toolbox) -> None:
    assert (await ask(tools, "find_slots", day=SATURDAY))["reason"] == "closed"
    assert (await ask(tools, "find_slots", day="2026-02-23"))["reason"] == "past"
    for at in ("09:00", "09:30", "10:00", "10:30", "11:00", "11:30", "13:00", "13:30"):
        assert "error" not in await ask(tools, "book_appointment", name=f"At {at}", day=MONDAY, time=at)
    assert await ask(tools, "find_slots", day=MONDAY) == {
        "day": MONDAY,
        "weekday": "Monday",
        "slots": [],
        "reason": "full",
    }


async def test_a_booking_stands_in_the_calendar(tools: Toolbox, tmp_path: Path) -> None:
    result = await ask(tools, "book_appointment", name=" Sarah Miller ", day=MONDAY, time="9:30", reason="check-up")
    assert result == {"appointment_id": 1, "name": "Sarah Miller", "day": MONDAY, "weekday": "Monday", "time": "09:30"}
    assert appointments_in(tmp_path / "calendar.sqlite") == [Appointment(1, "Sarah Miller", MONDAY, "09:30")]
    assert "09:30" not in (await ask(tools, "find_slots", day=MONDAY))["slots"]


@pytest.mark.parametrize(
    ("day", "time", "error", "slots"),
    [
        (MONDAY, "10:00", "slot_taken", ["09:00", "09:30", "10:30", "11:00", "11:30", "13:00"]),
        (SATURDAY, "10:00", "closed", []),
        (MONDAY, "12:30", "closed", ["10:30", "11:00", "11:30", "13:00", "13:30", "09:30"]),
        ("2026-02-23", "10:00", "past", []),
        (MONDAY, "10:10", "invalid", ["09:00", "09:30", "10:30", "11:00", "11:30", "13:00"]),
        ("2030-03-04", "10:00", "invalid", None),
    ],
)
async def test_a_booking_that_is_refused_says_why_and_what_is_free(
    tools: Toolbox, tmp_path: Path, day: str, time: str, error: str, slots: list[str] | None
) -> None:
    await ask(tools, "book_appointment", name="First Come", day=MONDAY, time="10:00")
    result = await ask(tools, "book_appointment", name="Sarah Miller", day=day, time=time)
    assert result["error"] == error
    assert slots is None or result["slots"] == sorted(slots)
    assert booked(tmp_path) == [("First Come", MONDAY, "10:00")]


@pytest.mark.parametrize(
    ("arguments", "detail"),
    [({"day": "next Monday", "time": "10:00"}, "YYYY-MM-DD"), ({"day": MONDAY, "time": "half nine"}, "HH:MM")],
)
async def test_days_and_times_that_cannot_be_read(tools: Toolbox, arguments: dict[str, str], detail: str) -> None:
    result = await ask(tools, "book_appointment", name="Ann Lee", **arguments)
    assert result["error"] == "invalid"
    assert detail in result["detail"]


async def test_a_name_of_nothing_but_signs_is_nobody(tools: Toolbox, tmp_path: Path) -> None:
    assert (await ask(tools, "book_appointment", name="...", day=MONDAY, time="10:00"))["error"] == "invalid"
    assert booked(tmp_path) == []


async def test_moving_an_appointment_frees_its_old_slot(tools: Toolbox, tmp_path: Path) -> None:
    await ask(tools, "book_appointment", name="Katherine Moore", day=MONDAY, time="10:00")
    result = await ask(
        tools,
        "move_appointment",
        name="Catherine More",
        day=MONDAY,
        time="10:00",
        new_day="2026-03-03",
        new_time="15:00",
    )
    moved = {"day": "2026-03-03", "weekday": "Tuesday", "time": "15:00"}
    assert result == {"appointment_id": 1, "name": "Katherine Moore"} | moved
    assert booked(tmp_path) == [("Katherine Moore", "2026-03-03", "15:00")]
    assert "10:00" in (await ask(tools, "find_slots", day=MONDAY))["slots"]


async def test_moving_to_where_it_is_changes_nothing(tools: Toolbox, tmp_path: Path) -> None:
    await ask(tools, "book_appointment", name="Ann Lee", day=MONDAY, time="10:00")
    result = await ask(tools, "move_appointment", name="Ann Lee", new_day=MONDAY, new_time="10:00")
    assert "error" not in result
    assert booked(tmp_path) == [("Ann Lee", MONDAY, "10:00")]


async def test_a_move_that_is_refused_leaves_the_appointment(tools: Toolbox, tmp_path: Path) -> None:
    await ask(tools, "book_appointment", name="Ann Lee", day=MONDAY, time="10:00")
    await ask(tools, "book_appointment", name="Bob Ray", day=MONDAY, time="11:00")
    taken = await ask(tools, "move_appointment", name="Ann Lee", new_day=MONDAY, new_time="11:00")
    nobody = await ask(tools, "move_appointment", name="Zoe Quinn", new_day=MONDAY, new_time="13:00")
    assert (taken["error"], nobody["error"]) == ("slot_taken", "not_found")
    assert booked(tmp_path) == [("Ann Lee", MONDAY, "10:00"), ("Bob Ray", MONDAY, "11:00")]


async def test_cancelling_asks_back_when_several_fit(tools: Toolbox, tmp_path: Path) -> None:
    await ask(tools, "book_appointment", name="Ann Lee", day=MONDAY, time="10:00")
    await ask(tools, "book_appointment", name="Ann Lee", day="2026-03-03", time="09:00")
    unclear = await ask(tools, "cancel_appointment", name="Ann Lee")
    assert unclear["error"] == "ambiguous"
    assert unclear["appointments"] == [
        {"day": MONDAY, "weekday": "Monday", "time": "10:00"},
        {"day": "2026-03-03", "weekday": "Tuesday", "time": "09:00"},
    ]
    done = await ask(tools, "cancel_appointment", name="ann lee", day=MONDAY)
    when = {"day": MONDAY, "weekday": "Monday", "time": "10:00"}
    assert done == {"appointment_id": 1, "name": "Ann Lee"} | when | {"cancelled": True}
    assert booked(tmp_path) == [("Ann Lee", "2026-03-03", "09:00")]
    assert (await ask(tools, "cancel_appointment", name="Ann Lee", day=MONDAY))["error"] == "not_found"


async def test_a_cancelled_slot_can_be_booked_again(tools: Toolbox, tmp_path: Path) -> None:
    await ask(tools, "book_appointment", name="Ann Lee", day=MONDAY, time="10:00")
    await ask(tools, "cancel_appointment", name="Ann Lee")
    await ask(tools, "book_appointment", name="Bob Ray", day=MONDAY, time="10:00")
    assert booked(tmp_path) == [("Bob Ray", MONDAY, "10:00")]


async def test_a_message_keeps_the_callers_number_unless_told_another(tools: Toolbox, tmp_path: Path) -> None:
    await ask(tools, "take_message", name="Ann Lee", text="please call back")
    await ask(tools, "take_message", name="Bob Ray", text="the pills", number="555 0199")
    rows = sqlite3.connect(tmp_path / "calendar.sqlite").execute("SELECT name, text, number FROM messages")
    assert rows.fetchall() == [("Ann Lee", "please call back", "+12025550123"), ("Bob Ray", "the pills", "555 0199")]


async def test_actions_for_the_call(tools: Toolbox) -> None:
    context = ToolContext("call", "1")
    assert (await tools.call("end_call", "", context)).action == EndCall()
    assert (await tools.call("transfer_call", '{"target": "doctor"}', context)).action == TransferCall(
        "doctor", "sip:doctor@example.org"
    )
    assert (await tools.call("collect_digits", "{}", context)).action == CollectDigits("", 20, "#", 8.0, False)
    chosen = '{"prompt": "Your PIN?", "max_digits": 4, "terminator": "", "timeout_seconds": 5, "masked": true}'
    action = (await tools.call("collect_digits", chosen, context)).action
    assert action == CollectDigits("Your PIN?", 4, "", 5, True)
    assert json.loads(action.collected("1234", True)) == {"digits": "1234", "complete": True}
    assert json.loads(action.shown("1234", True)) == {"digits": "••••", "complete": True}


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("fly", "{}", "unknown_tool"),
        ("book_appointment", "{", "invalid_arguments"),
        ("book_appointment", "[]", "invalid_arguments"),
        ("book_appointment", '{"name": "x"}', "invalid_arguments"),
        ("find_slots", '{"day": 3}', "invalid_arguments"),
        ("find_slots", '{"day": "2026-03-02", "doctor": "x"}', "invalid_arguments"),
        ("transfer_call", '{"target": "moon"}', "invalid_arguments"),
        ("collect_digits", '{"max_digits": 0}', "invalid_arguments"),
        ("end_call", "[" * 20_000, "invalid_arguments"),
        ("end_call", '"' + "x" * 40_000 + '"', "invalid_arguments"),
    ],
)
async def test_a_models_mistakes_are_results(tools: Toolbox, name: str, arguments: str, error: str) -> None:
    result = await tools.call(name, arguments, ToolContext("call", "1"))
    assert result.failed
    assert result.action is None
    content = json.loads(result.content_json)
    assert content["error"] == error
    assert content["detail"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """hypothesis runs examples from synchronous code, so the loop is the test's own."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def box(tmp_path: Path, runner: asyncio.Runner) -> Iterator[Toolbox]:
    context = toolbox(tmp_path)
    yield runner.run(context.__aenter__())
    runner.run(context.__aexit__(None, None, None))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(desk().tools),
    arguments=st.text(max_size=40)
    | st.dictionaries(
        st.sampled_from(["name", "day", "time", "new_day", "new_time", "text", "after", "target"]),
        st.sampled_from([MONDAY, "10:00", "Ann Lee", "24:61", "\x00", "\ud800", "İ"]) | JSON,
        max_size=5,
    ).map(json.dumps),
)
def test_whatever_a_model_writes_is_answered(runner: asyncio.Runner, box: Toolbox, name: str, arguments: str) -> None:
    result = runner.run(box.call(name, arguments, ToolContext("call", str(next(ids)))))
    assert isinstance(json.loads(result.content_json), dict)


async def test_a_repeated_write_returns_its_result_and_acts_once(tools: Toolbox, tmp_path: Path) -> None:
    arguments = json.dumps({"name": "Ann Lee", "day": MONDAY, "time": "10:00"})
    first = await tools.call("book_appointment", arguments, ToolContext("call", "one"))
    again = await tools.call("book_appointment", arguments, ToolContext("call", "one"))
    assert (first.repeated, again.repeated) == (False, True)
    assert first.content_json == again.content_json
    assert booked(tmp_path) == [("Ann Lee", MONDAY, "10:00")]


async def test_who_holds_the_slot_gets_the_same_appointment_under_another_key(tools: Toolbox, tmp_path: Path) -> None:
    first = await ask(tools, "book_appointment", "one", name="Ann Lee", day=MONDAY, time="10:00")
    assert await ask(tools, "book_appointment", "two", name="ann lee", day=MONDAY, time="10:00") == first
    assert (await ask(tools, "book_appointment", name="Anne Lee", day=MONDAY, time="10:00"))["error"] == "slot_taken"
    assert booked(tmp_path) == [("Ann Lee", MONDAY, "10:00")]


async def test_an_id_that_comes_again_for_another_wish_is_another_write(tools: Toolbox, tmp_path: Path) -> None:
    # A language worker that takes over a call may count its tool calls from one again.
    await ask(tools, "book_appointment", "call-1", name="Ann Lee", day=MONDAY, time="10:00")
    await ask(tools, "move_appointment", "call-1", name="Ann Lee", new_day=MONDAY, new_time="11:00")
    await ask(tools, "book_appointment", "call-1", name="Bob Ray", day=MONDAY, time="10:00")
    assert booked(tmp_path) == [("Bob Ray", MONDAY, "10:00"), ("Ann Lee", MONDAY, "11:00")]


async def test_the_key_holds_after_the_process_was_started_again(tmp_path: Path) -> None:
    for _ in range(2):
        async with toolbox(tmp_path) as box:
            result = await ask(box, "book_appointment", "one", name="Ann Lee", day=MONDAY, time="10:00")
            assert result["appointment_id"] == 1
    assert booked(tmp_path) == [("Ann Lee", MONDAY, "10:00")]


async def test_what_was_refused_may_be_tried_again_with_the_same_key(tools: Toolbox, tmp_path: Path) -> None:
    await ask(tools, "book_appointment", name="Bob Ray", day=MONDAY, time="10:00")
    wish = {"name": "Ann Lee", "day": MONDAY, "time": "10:00"}
    assert (await ask(tools, "book_appointment", "one", **wish))["error"] == "slot_taken"
    await ask(tools, "cancel_appointment", name="Bob Ray")
    assert "error" not in await ask(tools, "book_appointment", "one", **wish)
