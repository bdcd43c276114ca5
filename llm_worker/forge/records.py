"""Conversations as they lie on disk: one JSON object a line. PURE.

    {"id": …, "source": …, "now": RFC 3339, "language": …, "tools": [{"name", "description", "parameters"}],
     "messages": [{"role", "text", "tool_calls": [{"id", "name", "arguments"}], "tool_call_id", "cut"}]}

Empty fields are left out. `Conversation.prompt` is what a backend, and the renderer of training sequences, is given.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm_worker.messages import Message, Prompt, Role, Tool, ToolCall


@dataclass(frozen=True, slots=True)
class Conversation:
    """A call from its system prompt to its end, and where it comes from."""

    id: str
    """Unique within its source; the split into training and held-out data goes by it."""
    source: str
    """What it was made from, or whose records it is: what is deleted together."""
    now: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    language: str = ""
    cut_short: frozenset[int] = frozenset()
    """Ids of answers that end where the caller cut in: a history to go on from, nothing to learn to say."""

    def prompt(self) -> Prompt:
        """All of it, as a backend would be asked to go on with it."""
        return Prompt(self.id, self.messages, self.tools, language=self.language, now=self.now)

    def to_json(self) -> str:
        """One line, without its end."""
        line = {
            "id": self.id,
            "source": self.source,
            "now": self.now,
            "language": self.language,
            "tools": [
                {"name": t.name, "description": t.description, "parameters": dict(t.parameters)} for t in self.tools
            ],
            "messages": [_message_out(message, message.id in self.cut_short) for message in self.messages],
        }
        return json.dumps({key: value for key, value in line.items() if value}, ensure_ascii=False)


def read(line: str) -> Conversation:
    """The conversation of a line. Raises ValueError saying which field is wrong."""
    try:
        fields = json.loads(line)
        messages = fields["messages"]
        return Conversation(
            id=str(fields["id"]),
            source=str(fields["source"]),
            now=str(fields.get("now", "")),
            language=str(fields.get("language", "")),
            tools=tuple(Tool(t["name"], t.get("description", ""), t["parameters"]) for t in fields.get("tools", ())),
            messages=tuple(_message_in(number, message) for number, message in enumerate(messages, 1)),
            cut_short=frozenset(number for number, message in enumerate(messages, 1) if message.get("cut")),
        )
    except KeyError as missing:
        raise ValueError(f"a conversation without {missing}") from None
    except (TypeError, AttributeError) as problem:
        raise ValueError(f"not a conversation: {problem}") from None


def _message_out(message: Message, cut: bool) -> dict[str, Any]:
    calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in message.tool_calls]
    fields = {
        "role": message.role.value,
        "text": message.text,
        "tool_calls": calls,
        "tool_call_id": message.tool_call_id,
        "cut": cut,
    }
    return {key: value for key, value in fields.items() if value}


def _message_in(number: int, fields: Mapping[str, Any]) -> Message:
    calls = tuple(ToolCall(call["id"], call["name"], call["arguments"]) for call in fields.get("tool_calls", ()))
    role, text = Role(fields["role"]), str(fields.get("text", ""))
    return Message(number, role, text, tool_calls=calls, tool_call_id=str(fields.get("tool_call_id", "")))
