"""A front desk on Sunday, November 22nd 2026 at noon, with a calendar behind it, talked to in text."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from llm_worker.backends.frontdesk.conversation import respond
from llm_worker.backends.frontdesk.practice import load
from llm_worker.backends.frontdesk.state import Reply
from llm_worker.backends.frontdesk.tasks import Desk
from llm_worker.chat import Calendar
from llm_worker.messages import Message, Role, Tool, ToolCall

NOW = datetime.fromisoformat("2026-11-22T12:00")
NAMES = (
    "find_slots book_appointment move_appointment cancel_appointment take_message transfer_call end_call collect_digits"
)
TOOLS = {name: Tool(name, "", {}) for name in NAMES.split()}
Results = Mapping[str, dict[str, Any]]


class Caller:
    """Talks to the desk; keeps the messages, which are all the state there is."""

    def __init__(self, results: Results | None = None, without: str = "", now: datetime = NOW) -> None:
        tools = {name: tool for name, tool in TOOLS.items() if name not in without.split()}
        self.desk = Desk(load(), tools, now)
        self.calendar = Calendar(load(), now)
        self.results = dict(results or {})
        self.messages: list[Message] = []
        self.add(Role.SYSTEM, "You are the front desk.")
        self.add(Role.ASSISTANT, "Hello, this is Harbour Street Practice. How can I help you?")
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def says(self, text: str) -> str:
        """The desk's answer, after all its tool calls."""
        self.add(Role.USER, text)
        return self.answer()

    def add(self, role: Role, text: str, **fields: Any) -> None:
        self.messages.append(Message(len(self.messages), role, text, **fields))

    def answer(self) -> str:
        reply = self.reply()
        said = reply.text
        while reply.calls and reply.calls[-1][0] not in ("end_call", "transfer_call"):
            reply = self.reply()
            said = f"{said} {reply.text}".strip()
        return said

    def reply(self) -> Reply:
        """One answer; its calls are carried out."""
        reply = respond(self.desk, self.messages)
        number = len(self.messages)
        calls = tuple(
            ToolCall(f"call{number}{index}", name, json.dumps(arguments))
            for index, (name, arguments) in enumerate(reply.calls)
        )
        self.add(Role.ASSISTANT, reply.text, tool_calls=calls)
        for call in calls:
            arguments = json.loads(call.arguments)
            assert call.name in self.desk.tools
            self.calls.append((call.name, arguments))
            result = self.results.pop(call.name, None) or self.calendar.call(call.name, arguments)
            self.add(Role.TOOL, json.dumps(result), tool_call_id=call.id)
        return reply

    def cut(self, keep: int) -> None:
        """The caller has heard only the first `keep` characters of the last answer."""
        for index in reversed(range(len(self.messages))):
            message = self.messages[index]
            if message.role is Role.ASSISTANT:
                self.messages[index] = Message(
                    message.id, message.role, message.text[:keep], tool_calls=message.tool_calls
                )
                return

    @property
    def last_call(self) -> tuple[str, dict[str, Any]]:
        return self.calls[-1]
