"""The built-in tools: what the language model is told of them, and what each does."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from agent.definition import AgentDefinition
from agent.tools.appointments import Appointments, Content
from agent.tools.results import (
    CollectDigits,
    EndCall,
    ToolContext,
    ToolResult,
    ToolSpec,
    TransferCall,
    error_result,
    result,
)

Arguments = Mapping[str, Any]

DAY = {"type": "string", "description": "[weekday] YYYY-MM-DD", "maxLength": 20}
TIME = {"type": "string", "description": "HH:MM, 24 hours", "maxLength": 20}
NAME = {"type": "string", "description": "full name of the patient or client", "minLength": 1, "maxLength": 100}


def _object(required: str = "", **properties: Any) -> dict[str, Any]:
    """Schema of an object; `required` names separated by spaces."""
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


Effect = Literal["read", "write"]
TABLE: Mapping[str, tuple[Effect, str, dict[str, Any]]] = {
    "find_slots": (
        "read",
        "Free appointment times of one day, at most six, from `after` on.",
        _object("day", day=DAY, after=TIME),
    ),
    "book_appointment": (
        "write",
        "Book an appointment. Call it only once name, day and time are agreed.",
        _object("name day time", name=NAME, day=DAY, time=TIME, reason={"type": "string", "maxLength": 500}),
    ),
    "move_appointment": (
        "write",
        "Move an appointment to another day or time.",
        _object("name new_day new_time", name=NAME, day=DAY, time=TIME, new_day=DAY, new_time=TIME),
    ),
    "cancel_appointment": (
        "write",
        "Cancel an appointment. Give day and time when the caller has said them.",
        _object("name", name=NAME, day=DAY, time=TIME),
    ),
    "take_message": (
        "write",
        "Take down a message for the staff. Without a number they call back the number of this call.",
        _object(
            "name text",
            name=NAME,
            text={"type": "string", "minLength": 1, "maxLength": 2000},
            number={"type": "string", "maxLength": 40},
        ),
    ),
    "transfer_call": ("write", "Hand the caller to somebody else. Say so first.", _object("target")),
    "end_call": ("write", "Hang up, after the goodbye has been said.", _object()),
    "collect_digits": (
        "write",
        "Let the caller press keys on the telephone.",
        _object(
            prompt={"type": "string", "description": "what to say first", "maxLength": 500},
            max_digits={"type": "integer", "minimum": 1, "maximum": 40, "default": 20},
            terminator={"type": "string", "enum": ["#", "*", ""], "default": "#"},
            timeout_seconds={"type": "number", "exclusiveMinimum": 0, "maximum": 60, "default": 8},
            masked={"type": "boolean", "description": "keep the digits out of the record", "default": False},
        ),
    ),
}
"""name → effect, description, JSON Schema."""

ON_THE_BOOK: Mapping[str, Callable[..., Content]] = {
    "find_slots": Appointments.find_slots,
    "book_appointment": Appointments.book_appointment,
    "move_appointment": Appointments.move_appointment,
    "cancel_appointment": Appointments.cancel_appointment,
    "take_message": Appointments.take_message,
}
"""Tools that a Calendar carries out; the arguments are those of the schema."""


def spec_of(name: str, definition: AgentDefinition) -> ToolSpec:
    """What the language model is told of a built-in tool."""
    effect, description, schema = TABLE[name]
    if name == "transfer_call":
        targets = {"type": "string", "enum": list(definition.transfer)}
        schema = _object("target", target=targets)
    return ToolSpec(name, description, json.dumps(schema), effect, definition.waiting_phrase)


def work_on(name: str, arguments: Arguments, context: ToolContext) -> Callable[[Appointments], Content]:
    """What a calendar tool does, ready to be handed to a Calendar."""
    if name == "take_message":
        arguments = {"number": context.caller, **arguments}
    return lambda book: ON_THE_BOOK[name](book, **arguments)


def action_of(name: str, arguments: Arguments, definition: AgentDefinition) -> ToolResult:
    """The result of a tool that asks the call itself to act."""
    match name:
        case "end_call":
            return result({"status": "ending"}, EndCall())
        case "transfer_call":
            target = arguments["target"]
            return result({"status": "transferring"}, TransferCall(target, definition.transfer[target]))
        case "collect_digits":
            digits = CollectDigits(
                prompt=arguments.get("prompt", ""),
                max_digits=int(arguments.get("max_digits", 20)),
                terminator=arguments.get("terminator", "#"),
                timeout_seconds=float(arguments.get("timeout_seconds", 8.0)),
                masked=arguments.get("masked", False),
            )
            return result({"status": "waiting"}, digits)
    return error_result("unknown_tool", name)
