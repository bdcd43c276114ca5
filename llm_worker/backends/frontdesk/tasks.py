"""What to ask or do next for the task in hand: each step asks for one thing, and acts only on a confirmed summary."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from llm_worker.backends.frontdesk import say
from llm_worker.backends.frontdesk.practice import WEEKDAYS, Practice
from llm_worker.backends.frontdesk.state import Asked, Reply, State, Task
from llm_worker.messages import Tool


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the call takes place: what is known, what can be done, and when."""

    practice: Practice
    tools: Mapping[str, Tool]
    now: datetime

    def requires(self, tool: str, argument: str) -> bool:
        """Whether the tool cannot be called without the argument."""
        return argument in self.tools[tool].parameters.get("required", ())


Step = tuple[State, Reply]
NEEDED = {
    Task.BOOK: "book_appointment",
    Task.MOVE: "move_appointment",
    Task.CANCEL: "cancel_appointment",
    Task.MESSAGE: "take_message",
}
_CANNOT = {
    Task.BOOK: "I'm sorry, I can't book appointments on this line.",
    Task.MOVE: "I'm sorry, I can't move appointments on this line.",
    Task.CANCEL: "I'm sorry, I can't cancel appointments on this line.",
    Task.MESSAGE: "I'm sorry, I can't take messages on this line.",
}
MORE = "Is there anything else I can do for you?"


def tell(state: State, text: str, asked: Asked) -> Step:
    """Say something that ends in a question."""
    return replace(state, asked=asked), Reply(text)


def idle(state: State, text: str) -> Step:
    """The task is over; what is known of the caller stays."""
    ended = State(name=state.name, booked_day=state.booked_day, booked_time=state.booked_time)
    return tell(ended, f"{text} {MORE}".strip(), Asked.MORE)


def proceed(desk: Desk, state: State, before: str = "") -> Step:
    """The next step of the task, after the words `before`."""
    if state.task not in NEEDED:
        return tell(state, f"{before} How can I help you?".strip(), Asked.NOTHING)
    if NEEDED[state.task] not in desk.tools:
        return idle(state, _CANNOT[state.task])
    if state.task in (Task.BOOK, Task.MOVE) and (refusal := _refuse(desk, state)):
        refused, reply = refusal
        return refused, replace(reply, text=f"{before} {reply.text}".strip())
    asked = _missing(desk, state)
    if asked is Asked.TIME and not state.offered and "find_slots" in desk.tools:
        return find_slots(state)
    if asked is Asked.NOTHING:
        return act(state)
    stepped = replace(state, asked=asked)
    return stepped, Reply(f"{before} {question(stepped)}".strip())


def question(state: State) -> str:
    """The question that is open, in words."""
    match state.asked:
        case Asked.NAME:
            return (
                "What name is the appointment under?"
                if state.task in (Task.MOVE, Task.CANCEL)
                else "May I have your name, please?"
            )
        case Asked.DAY:
            return {
                Task.MOVE: "Which day should I move it to?",
                Task.CANCEL: "Which day is the appointment on?",
            }.get(state.task, "Which day would suit you?")
        case Asked.OLD_DAY:
            return "Which day and time is your appointment now?"
        case Asked.TIME:
            offer = f"I have {say.slots(state.offered)}. " if state.offered else ""
            return f"{offer}What time would suit you?"
        case Asked.CONFIRM:
            return summary(state)
        case Asked.CHANGE:
            return "What should I change?"
        case Asked.TEXT:
            return "What would you like me to pass on?"
        case Asked.SAME_NUMBER:
            return "Should we call you back on the number you're calling from?"
        case Asked.NUMBER:
            return "Which number, please? You can say it or key it in."
        case Asked.OFFER_MESSAGE:
            return "Shall I take a message?"
        case Asked.MORE:
            return MORE
        case _:
            return "How can I help you?"


def summary(state: State) -> str:
    """What will be done once the caller says yes. The question stands alone in the last sentence."""
    when = say.when(state.day, state.at)
    match state.task:
        case Task.MOVE:
            return f"I'll move the appointment for {state.name} to {when}. Is that right?"
        case Task.CANCEL:
            on = f" on {when}" if when else ""
            return f"You want to cancel the appointment for {state.name}{on}. Is that right?"
        case _:
            service = f"{state.reason} on " if state.reason.startswith("a ") else ""
            about = f", about {state.reason}" if state.reason and not service else ""
            return f"That's {service}{when} for {state.name}{about}. Shall I book it?"


def act(state: State) -> Step:
    """Ask the tools to do what was agreed."""
    wish = {"day": _iso(state.day), "time": _clock(state)}
    match state.task:
        case Task.BOOK:
            arguments: dict[str, Any] = {"name": state.name, **wish}
            if state.reason:
                arguments["reason"] = state.reason
        case Task.MOVE:
            old = {"day": _iso(state.old_day), "time": state.old_time.strftime("%H:%M") if state.old_time else ""}
            arguments = {"name": state.name, **old, "new_day": wish["day"], "new_time": wish["time"]}
        case Task.CANCEL:
            arguments = {"name": state.name, **wish}
        case _:
            arguments = {"name": state.name, "text": state.text, "number": state.number}
    known = {key: value for key, value in arguments.items() if value}
    return replace(state, asked=Asked.NOTHING), Reply(calls=((NEEDED[state.task], known),))


def find_slots(state: State) -> Step:
    """Look for free times of the day that is wished for."""
    arguments = {"day": _iso(state.day)}
    if state.after is not None:
        arguments["after"] = state.after.strftime("%H:%M")
    return replace(state, asked=Asked.TIME), Reply(calls=(("find_slots", arguments),))


def next_open_day(desk: Desk) -> date:
    """The first day from tomorrow on that the practice is open."""
    day = desk.now.date() + timedelta(days=1)
    while day.weekday() not in desk.practice.open_days:
        day += timedelta(days=1)
    return day


def close(desk: Desk, state: State, text: str = "") -> Step:
    """Say goodbye and hang up."""
    goodbye = text or f"Thank you for calling {desk.practice.name}. Goodbye."
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = (("end_call", {}),) if "end_call" in desk.tools else ()
    return replace(state, asked=Asked.NOTHING, task=Task.NONE), Reply(goodbye, calls)


def transfer(desk: Desk, state: State, text: str = "Of course. I'll put you through to a colleague.") -> Step:
    """Hand the call to a person, or offer what there is instead."""
    if "transfer_call" not in desk.tools:
        return no_person(desk, state, "I'm sorry, nobody can come to the phone right now.")
    targets = desk.tools["transfer_call"].parameters.get("properties", {}).get("target", {}).get("enum", ["reception"])
    return replace(state, asked=Asked.NOTHING), Reply(text, (("transfer_call", {"target": targets[0]}),))


def no_person(desk: Desk, state: State, text: str) -> Step:
    """Nobody can be reached: offer to take a message."""
    if "take_message" in desk.tools:
        return tell(state, f"{text} Shall I take a message?", Asked.OFFER_MESSAGE)
    return idle(state, text)


def _missing(desk: Desk, state: State) -> Asked:
    """The first thing that the task still needs."""
    if not state.name:
        return Asked.NAME
    if state.task is Task.MESSAGE:
        if not state.text:
            return Asked.TEXT
        return Asked.NOTHING if state.number or state.asked in (Asked.SAME_NUMBER, Asked.NUMBER) else Asked.SAME_NUMBER
    if state.task is Task.CANCEL:
        needs_day = desk.requires("cancel_appointment", "day") and state.day is None
        return Asked.DAY if needs_day else Asked.CONFIRM
    if state.task is Task.MOVE and _old_is_missing(desk, state):
        return Asked.OLD_DAY
    if state.day is None:
        return Asked.DAY
    return Asked.TIME if state.at is None else Asked.CONFIRM


def _old_is_missing(desk: Desk, state: State) -> bool:
    known = {"day": state.old_day, "time": state.old_time}
    return any(value is None and desk.requires("move_appointment", name) for name, value in known.items())


def _refuse(desk: Desk, state: State) -> Step | None:
    """Turn down a day or time at which there are no appointments."""
    practice = desk.practice
    match practice.problem(state.day, state.at, desk.now):
        case "past" if state.day is not None and state.day >= desk.now.date():
            return tell(replace(state, at=None), "That time has already passed. What time would suit you?", Asked.TIME)
        case "past":
            return tell(replace(state, day=None), "That day has already passed. Which day would suit you?", Asked.DAY)
        case "closed" if state.day is not None:
            closed = f"We're closed on {WEEKDAYS[state.day.weekday()].capitalize()}s. Which other day would suit you?"
            return tell(replace(state, day=None), closed, Asked.DAY)
        case "hours":
            hours = f"Appointments are between {say.clock(practice.opens)} and {say.clock(practice.closes)}."
            return tell(replace(state, at=None, offered=()), f"{hours} What time would suit you?", Asked.TIME)
        case "grid" if state.at is not None:
            minutes = state.at.hour * 60 + state.at.minute
            lower = datetime.combine(desk.now.date(), state.at) - timedelta(minutes=minutes % practice.slot_minutes)
            upper = lower + timedelta(minutes=practice.slot_minutes)
            near = tuple(at for at in (lower.time(), upper.time()) if at < practice.closes)
            text = f"Appointments start every {practice.slot_minutes} minutes. Would {say.slots(near)} suit you?"
            return tell(replace(state, at=None, offered=near), text, Asked.TIME)
        case _:
            return None


def _iso(day: date | None) -> str:
    return day.isoformat() if day else ""


def _clock(state: State) -> str:
    return state.at.strftime("%H:%M") if state.at else ""
