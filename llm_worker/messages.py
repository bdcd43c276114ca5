"""What a conversation is made of, as values: messages, tools, sampling, and the prompt that a backend answers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """Who speaks in a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class ToolChoice(StrEnum):
    """Whether an answer may, must or must not call tools."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asked for. `arguments` is a JSON object, as text and kept verbatim; `token_ids` are the
    generated ids where there are any."""

    id: str
    name: str
    arguments: str
    token_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the history. `token_ids` are the generated ids where the record has them."""

    id: int
    role: Role
    text: str = ""
    token_ids: tuple[int, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may ask for. `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How an answer is drawn. None and empty mean: not said here."""

    temperature: float | None = None
    top_p: float | None = None
    min_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    tool_choice: ToolChoice | None = None

    def overridden(self, other: "Sampling") -> "Sampling":
        """These values, replaced by those that `other` says."""
        said = {name: value for name in self.__slots__ if (value := getattr(other, name)) not in (None, ())}
        return replace(self, **said)


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that an answer depends on. Two equal prompts have the same next-token distribution.

    `model` is empty for the backend's own; `now` is RFC 3339, `language` BCP 47, both empty when not said.
    """

    conversation_id: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    model: str = ""
    language: str = ""
    now: str = ""


NO_RESULT = json.dumps({"error": "no_result"})
"""Stands in for the result of a call that has none yet, where the chat format wants one."""


def paired(messages: Sequence[Message]) -> list[Message]:
    """The history as chat formats want it: each call followed by its result, in the order of the calls.

    On the telephone a result can arrive after the caller has spoken again, or never. Answers of which nothing was
    heard are left out.
    """
    results = {message.tool_call_id: message for message in messages if message.role is Role.TOOL}
    ordered: list[Message] = []
    for message in messages:
        if message.role is Role.TOOL or (
            message.role is Role.ASSISTANT and not message.text and not message.tool_calls
        ):
            continue
        ordered.append(message)
        for call in message.tool_calls:
            missing = Message(message.id, Role.TOOL, NO_RESULT, tool_call_id=call.id)
            ordered.append(results.get(call.id, missing))
    return ordered
