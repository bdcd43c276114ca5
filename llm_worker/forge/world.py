"""What a call can change: the tools of the front desk as a language model calls them, without an agent.

The agent's own tools are the truth; a test sends both the same random calls and demands the same results.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator

from llm_worker.forge.book import Appointment, Book, Note
from llm_worker.forge.hours import Hours, Unclear
from llm_worker.messages import Tool

ON_THE_BOOK = ("find_slots", "book_appointment", "move_appointment", "cancel_appointment", "take_message")
LAST = ("end_call", "transfer_call")
"""Tools after which the caller is gone."""
LONGEST_ARGUMENTS = 32 * 1024
LONGEST_PROBLEM = 300


@dataclass(frozen=True, slots=True)
class Setup:
    """Where a call begins."""

    hours: Hours
    now: datetime
    """Local, without offset."""
    tools: tuple[Tool, ...]
    booked: tuple[tuple[str, str, str], ...] = ()
    """Name, day, time of the appointments in the book."""
    caller: str = ""
    """The caller's number, for messages that name none."""
    keys: str = ""
    """What the caller presses when asked for digits."""


@dataclass
class State:
    """What a verifier looks at when the call is over."""

    appointments: list[Appointment] = field(default_factory=list)
    messages: list[Note] = field(default_factory=list)
    transferred: str = ""
    """To whom; empty: nobody."""
    ended: bool = False


class World:
    """Carries out calls. Never raises for what a model does wrong: those are results with `error`."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._book = Book(setup.hours, setup.now, setup.booked)
        self._validators = {tool.name: validator(json.dumps(dict(tool.parameters))) for tool in setup.tools}
        self._done: dict[tuple[str, str, str], str] = {}
        self._transferred = ""
        self._ended = False

    def close(self) -> None:
        """Free the book."""
        self._book.close()

    def state(self) -> State:
        """The world as it is now."""
        return State(self._book.appointments(), self._book.messages(), self._transferred, self._ended)

    def call(self, call_id: str, name: str, arguments_json: str) -> str:
        """The result, as JSON. A write repeated under the same id returns its first result."""
        if name not in self._validators:
            return _error("unknown_tool", f"valid: {', '.join(self._validators) or 'none'}")
        arguments = self._parse(name, arguments_json)
        if isinstance(arguments, str):
            return arguments
        if name not in ON_THE_BOOK:
            return self._act(name, arguments)
        key = (call_id, name, json.dumps(arguments, sort_keys=True))
        if name != "find_slots" and key in self._done:
            return self._done[key]
        if name == "take_message":
            arguments = {"number": self._setup.caller, **arguments}
        try:
            content: dict[str, Any] = getattr(self._book, name)(**arguments)
        except Unclear as problem:
            return _error("invalid", str(problem))
        if "error" not in content:
            self._done[key] = json.dumps(content)
        return json.dumps(content)

    def _parse(self, name: str, arguments_json: str) -> Mapping[str, Any] | str:
        if len(arguments_json) > LONGEST_ARGUMENTS:
            return _error("invalid_arguments", f"longer than {LONGEST_ARGUMENTS} characters")
        try:
            arguments: Mapping[str, Any] = json.loads(arguments_json or "{}")
            json.dumps(arguments, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as problem:
            return _error("invalid_arguments", f"not JSON: {problem}")
        if mistake := next(self._validators[name].iter_errors(arguments), None):
            where = ".".join(str(part) for part in mistake.absolute_path)
            told = mistake.message[:LONGEST_PROBLEM]
            return _error("invalid_arguments", f"{where}: {told}" if where else told)
        return arguments

    def _act(self, name: str, arguments: Mapping[str, Any]) -> str:
        match name:
            case "end_call":
                self._ended = True
                return json.dumps({"status": "ending"})
            case "transfer_call":
                self._transferred = str(arguments["target"])
                return json.dumps({"status": "transferring"})
            case _:
                return json.dumps({"digits": self._setup.keys, "complete": bool(self._setup.keys)})


def tools(names: Iterable[str], targets: Sequence[str] = ()) -> tuple[Tool, ...]:
    """The built-in tools as the model is told of them; `targets` of transfer_call."""
    table = _table()
    made = []
    for name in names:
        if name not in table:
            raise ValueError(f"no tool {name!r}; valid are {', '.join(table)}")
        schema = dict(table[name]["parameters"])
        if name == "transfer_call":
            schema["properties"] = {"target": {"type": "string", "enum": list(targets)}}
        made.append(Tool(name, table[name]["description"], schema))
    return tuple(made)


@cache
def _table() -> dict[str, Any]:
    text = resources.files("llm_worker.forge").joinpath("tools.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


@cache
def validator(schema: str) -> Draft202012Validator:
    """Checks arguments against a schema, given as JSON; made once, since calls come by the hundred thousand."""
    return Draft202012Validator(json.loads(schema))


def _error(error: str, detail: str) -> str:
    return json.dumps({"error": error, "detail": detail})
