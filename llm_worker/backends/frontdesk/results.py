"""What to say to the result of a tool. Results are foreign: every field can be missing or of the wrong kind."""

import json
from dataclasses import replace
from datetime import date, time
from typing import Any

from llm_worker.backends.frontdesk import say
from llm_worker.backends.frontdesk.state import Asked, Reply, State, Task
from llm_worker.backends.frontdesk.tasks import Desk, Step, find_slots, idle, no_person, proceed, tell
from llm_worker.messages import ToolCall

AGAIN = "I'm sorry, that didn't work just now. Shall I try again?"

_UNDONE = {"interrupted", "cancelled", "no_result"}


def undone(text: str) -> bool:
    """Whether the call was not carried out because something came between: there is nothing to say about it."""
    return _object(text).get("error") in _UNDONE


def answer(desk: Desk, state: State, call: ToolCall, text: str) -> Step:
    """The next step after `call` came back with `text`."""
    result = _object(text)
    error = str(result.get("error") or "")
    if error in _UNDONE:
        return replace(state, asked=Asked.TIME if call.name == "find_slots" else Asked.CONFIRM), Reply()
    match call.name:
        case "find_slots":
            return _slots(desk, state, result, error)
        case "book_appointment" | "move_appointment" if not error:
            return _arranged(state, result, moved=call.name == "move_appointment")
        case "cancel_appointment" if not error:
            when = say.when(_day(result) or state.day, _time(result) or state.at)
            gone = f"Your appointment{f' on {when}' if when else ''} is cancelled."
            return idle(replace(state, booked_day=None, booked_time=None), gone)
        case "book_appointment" | "move_appointment" | "cancel_appointment":
            return _failed(desk, state, result, error)
        case "take_message" if not error:
            return idle(state, "Thank you. I've passed on your message.")
        case "transfer_call" if error:
            return no_person(desk, state, "I'm sorry, I can't reach anybody right now.")
        case "collect_digits":
            digits = "".join(c for c in str(result.get("digits", "")) if c.isdigit())
            return proceed(desk, replace(state, number=digits, asked=Asked.NUMBER))
        case "end_call" | "transfer_call":
            return state, Reply()
        case _:
            return tell(state, AGAIN, Asked.CONFIRM)


def _arranged(state: State, result: dict[str, Any], moved: bool) -> Step:
    day, at = _day(result) or state.day, _time(result) or state.at
    known = replace(state, booked_day=day, booked_time=at, name=str(result.get("name") or state.name))
    when = say.when(day, at)
    return idle(known, f"Your appointment is moved to {when}." if moved else f"You are booked for {when}.")


def _slots(desk: Desk, state: State, result: dict[str, Any], error: str) -> Step:
    slots = _times(result)
    day = _day(result) or state.day
    if slots and day is not None:
        offered = replace(state, day=day, offered=slots)
        return tell(offered, f"On {say.day(day)} I have {say.slots(slots)}. Which would you like?", Asked.TIME)
    if error and error not in {"closed", "past", "invalid", "full"}:
        # The calendar does not answer; booking may still work and says what is wrong.
        return tell(state, "What time would suit you?", Asked.TIME)
    if state.after is not None and day is not None:
        return find_slots(replace(state, after=None))
    on = say.day(day) if day else "that day"
    return tell(
        replace(state, day=None, offered=()),
        f"I'm sorry, I have nothing free on {on}. Which other day would suit you?",
        Asked.DAY,
    )


def _failed(desk: Desk, state: State, result: dict[str, Any], error: str) -> Step:
    if error == "not_found":
        state = replace(state, misses=state.misses + 1)
        under = f"I can't find an appointment under the name {state.name}"
        if state.misses > 1:
            return no_person(desk, replace(state, misses=0), f"I'm sorry, {under}.")
        return tell(state, f"I'm sorry, {under}. What name is it under?", Asked.NAME)
    if error == "ambiguous":
        found = [say.when(_day(one), _time(one)) for one in result.get("appointments", []) if isinstance(one, dict)]
        listed = f" {say.choice(found[:3], 'and')}." if found else ""
        asked = Asked.OLD_DAY if state.task is Task.MOVE else Asked.DAY
        return tell(state, f"I see more than one appointment.{listed} Which one do you mean?", asked)
    if error not in {"slot_taken", "closed", "past", "invalid"}:
        return tell(state, AGAIN, Asked.CONFIRM)
    if error == "invalid" and str(result.get("detail", "")).startswith("name"):
        return proceed(desk, replace(state, name=""))
    return _alternatives(desk, state, _times(result), error)


def _alternatives(desk: Desk, state: State, slots: tuple[time, ...], error: str) -> Step:
    when = say.when(state.day, state.at)
    why = {
        "slot_taken": f"I'm sorry, {when} is already taken.",
        "closed": "I'm sorry, we're closed then.",
        "past": "I'm sorry, that time has already passed.",
        "invalid": "I'm sorry, I can't book that time.",
    }[error]
    if slots:
        offered = replace(state, at=None, offered=slots)
        return tell(offered, f"{why} I have {say.slots(slots)}. Which would you like?", Asked.TIME)
    if error == "slot_taken" and "find_slots" in desk.tools:
        return find_slots(replace(state, at=None, offered=()))
    return tell(replace(state, day=None, at=None, offered=()), f"{why} Which other day would suit you?", Asked.DAY)


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return {"error": "unreadable"}
    return value if isinstance(value, dict) else {"error": "unreadable"}


def _day(result: dict[str, Any]) -> date | None:
    try:
        return date.fromisoformat(str(result.get("day")))
    except ValueError:
        return None


def _time(result: dict[str, Any]) -> time | None:
    return _clock(result.get("time"))


def _times(result: dict[str, Any]) -> tuple[time, ...]:
    slots = result.get("slots")
    found = [_clock(slot) for slot in slots] if isinstance(slots, list) else []
    return tuple(slot for slot in found if slot is not None)


def _clock(value: object) -> time | None:
    try:
        return time.fromisoformat(str(value)).replace(tzinfo=None, second=0, microsecond=0)
    except ValueError:
        return None
