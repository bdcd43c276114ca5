"""A conversation in the terminal: you are the caller. Tools are answered by a small calendar, or by you."""

import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import aclosing
from datetime import date, datetime, time, timedelta
from typing import Any

from llm_worker.backends import Backend, Call, Delta
from llm_worker.backends.frontdesk.practice import Practice, load
from llm_worker.checks import Limits
from llm_worker.config import LlmSettings
from llm_worker.messages import Message, Role, Sampling, Tool
from llm_worker.request import Conversation, Opening
from services.errors import InvalidRequest, ServiceError
from services.telemetry import configure_logging

PROMPT = (
    "You answer the telephone of Harbour Street Practice, a doctors' surgery open Monday to Friday, 8 AM to 5 PM. "
    "Speak in one or two short sentences. Before you book, move or cancel, repeat name, day and time and ask whether "
    "that is right. Say goodbye before you call end_call."
)
_TEXT = {"type": "string"}
_TOOLS = {
    "find_slots": ("Free times of a day.", "day", "after"),
    "book_appointment": ("Book an appointment.", "name day time", "reason"),
    "move_appointment": ("Move an appointment.", "name new_day new_time", "day time"),
    "cancel_appointment": ("Cancel an appointment.", "name", "day time"),
    "take_message": ("Take a message for the staff.", "name text", "number"),
    "transfer_call": ("Hand the caller to a person.", "target", ""),
    "end_call": ("Hang up.", "", ""),
}


class Calendar:
    """Appointments of this chat, by day and time."""

    def __init__(self, practice: Practice, now: datetime) -> None:
        self._practice = practice
        self._now = now
        self._booked: dict[tuple[str, str], str] = {}

    def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The result of a tool, in the form that the agent's tools have."""
        match name:
            case "find_slots":
                return {"day": arguments["day"], "slots": self._free(arguments["day"], arguments.get("after", ""))}
            case "book_appointment":
                return self._book(arguments["name"], arguments["day"], arguments["time"])
            case "move_appointment":
                return self._move(arguments)
            case "cancel_appointment":
                key = self._find(arguments)
                if key is None:
                    return {"error": "not_found"}
                return {"cancelled": True, "name": self._booked.pop(key), "day": key[0], "time": key[1]}
            case _:
                return {"status": "ok"}

    def _free(self, day: str, after: str = "") -> list[str]:
        slots: list[str] = []
        on, step = date.fromisoformat(day), timedelta(minutes=self._practice.slot_minutes)
        at = datetime.combine(on, self._practice.opens)
        while at.time() < self._practice.closes and len(slots) < 6:
            text = at.strftime("%H:%M")
            bookable = not self._practice.problem(on, at.time(), self._now)
            if bookable and text >= after and (day, text) not in self._booked:
                slots.append(text)
            at += step
        return slots

    def _book(self, name: str, day: str, at: str) -> dict[str, Any]:
        problem = self._practice.problem(date.fromisoformat(day), time.fromisoformat(at), self._now)
        if problem or (day, at) in self._booked:
            error = {"": "slot_taken", "past": "past", "closed": "closed"}.get(problem, "invalid")
            return {"error": error, "slots": self._free(day)}
        self._booked[day, at] = name
        return {"appointment_id": len(self._booked), "name": name, "day": day, "time": at}

    def _move(self, wish: dict[str, Any]) -> dict[str, Any]:
        key = self._find(wish)
        if key is None:
            return {"error": "not_found"}
        moved = self._book(self._booked[key], wish["new_day"], wish["new_time"])
        if "error" not in moved:
            del self._booked[key]
        return moved

    def _find(self, wish: dict[str, Any]) -> tuple[str, str] | None:
        for (day, at), name in self._booked.items():
            same = name.casefold() == wish["name"].casefold()
            if same and wish.get("day", day) == day and wish.get("time", at) == at:
                return day, at
        return None


class Chat:
    """Reads lines, prints answers as they come, carries out tool calls."""

    def __init__(self, backend: Backend, now: datetime, ask_tools: bool) -> None:
        self._backend = backend
        self._dialogue = backend.open()
        self._calendar = None if ask_tools else Calendar(load(), now.replace(tzinfo=None))
        self._ids = iter(range(1, sys.maxsize))
        history = (Message(next(self._ids), Role.SYSTEM, PROMPT),)
        opening = Opening("chat", history=history, tools=tuple(_tool(name) for name in _TOOLS), now=now.isoformat())
        self._conversation = Conversation(opening, Limits())

    async def run(self) -> None:
        """Until the caller has no more lines, or the call is ended."""
        await self._backend.warm_up()
        try:
            going = await self._answer()
            while going and (line := await _read("you> ")) is not None:
                self._conversation.append(Message(next(self._ids), Role.USER, line), provisional=False)
                going = await self._answer()
        finally:
            await self._backend.close()

    async def _answer(self) -> bool:
        """Print one answer and answer its calls, until it has none. False when the call has ended."""
        while True:
            calls = await self._generate()
            for name, call_id, arguments in calls:
                result = await self._result(name, arguments)
                message = Message(next(self._ids), Role.TOOL, result, tool_call_id=call_id)
                self._conversation.append(message, provisional=False)
            if any(name in ("end_call", "transfer_call") for name, _, _ in calls):
                return False
            if not calls:
                return True

    async def _generate(self) -> list[tuple[str, str, str]]:
        prompt = self._conversation.begin(next(self._ids), Sampling())
        calls: list[tuple[str, str, str]] = []
        _write("agent> ")
        async with aclosing(self._dialogue.generate(prompt)) as steps:
            async for step in steps:
                match step:
                    case Delta(text):
                        self._conversation.add_text(text)
                        _write(text)
                    case Call(name, arguments, token_ids):
                        call = self._conversation.add_call(name, arguments, token_ids)
                        calls.append((name, call.id, arguments))
        self._conversation.finish()
        _write("\n")
        return calls

    async def _result(self, name: str, arguments: str) -> str:
        _write(f"tool> {name} {arguments}\n")
        if self._calendar is None:
            return await _json_line()
        try:
            result = self._calendar.call(name, json.loads(arguments))
        except (KeyError, ValueError, TypeError) as error:
            result = {"error": "invalid", "detail": f"{type(error).__name__}: {error}"}
        _write(f"    = {json.dumps(result)}\n")
        return json.dumps(result)


def run_chat(settings: LlmSettings, build: Callable[[LlmSettings], Backend], now: str, ask_tools: bool) -> None:
    """Body of `python -m llm_worker chat`. A backend that does not answer is one line and exit code 1."""
    configure_logging("warning", settings.log_words)
    try:
        began = datetime.fromisoformat(now) if now else datetime.now().astimezone()
    except ValueError:
        sys.exit(f"--now {now}: not a time as in RFC 3339, e.g. 2026-11-22T09:30:00+01:00")

    async def main() -> None:
        await Chat(build(settings), began, ask_tools).run()

    try:
        asyncio.run(main())
    except (ServiceError, InvalidRequest) as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _tool(name: str) -> Tool:
    description, required, optional = _TOOLS[name]
    properties = dict.fromkeys([*required.split(), *optional.split()], _TEXT)
    return Tool(name, description, {"type": "object", "properties": properties, "required": required.split()})


async def _read(prompt: str) -> str | None:
    """A line; None at the end of the input."""
    _write(prompt)
    line = await asyncio.to_thread(sys.stdin.readline)
    return line.strip() if line else None


async def _json_line() -> str:
    while (line := await _read("    = (JSON) ")) is not None:
        try:
            json.loads(line)
        except ValueError as error:
            _write(f"    not JSON: {error}\n")
        else:
            return line
    return json.dumps({"error": "no_result"})


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
