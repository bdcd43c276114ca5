"""What goes into a tool call and what comes out, for whoever runs the call."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a language model is told of a tool, and what the call must know to run it."""

    name: str
    description: str
    parameters_json: str
    """JSON Schema (2020-12) of the arguments: an object."""
    effect: Literal["read", "write"]
    """A write waits for the confirmed end of the caller's turn and is not cancelled by an interruption."""
    waiting_phrase: str
    """To say when the result takes long; empty: nothing."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Which call asks."""

    call_id: str
    tool_call_id: str
    caller: str = ""
    """The caller's number, for messages that name none."""

    def key(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """What makes a write the same write: the call, the tool call's id, and what it asks for; a language worker that
        takes over a call may begin its ids anew."""
        asked = json.dumps([tool, arguments], sort_keys=True).encode()
        return f"{self.call_id}:{self.tool_call_id}:{hashlib.sha256(asked).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class EndCall:
    """Hang up once what has been said is heard."""


@dataclass(frozen=True, slots=True)
class TransferCall:
    """Hand the caller to somebody else."""

    target: str
    """Name in the agent's definition."""
    number: str
    """Number or SIP address."""

    @staticmethod
    def failed(detail: str) -> str:
        """Content of the tool's result when the far end did not take the call."""
        return json.dumps({"error": "transfer_failed", "detail": detail})


@dataclass(frozen=True, slots=True)
class CollectDigits:
    """Let the caller press keys."""

    prompt: str
    """To say first; empty: the model has said it."""
    max_digits: int
    terminator: str
    """The key that ends the input and is not part of it; empty: none."""
    timeout_seconds: float
    """Without a key, from the prompt's end or the last key."""
    masked: bool
    """The record and the recording must not hold the digits."""

    @staticmethod
    def collected(digits: str, complete: bool) -> str:
        """Content of the tool's result. `complete`: by terminator or count, not by time-out."""
        return json.dumps({"digits": digits, "complete": complete})

    def shown(self, digits: str, complete: bool) -> str:
        """`collected` as the record may keep it."""
        return self.collected("•" * len(digits) if self.masked else digits, complete)


Action = EndCall | TransferCall | CollectDigits


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The answer to one tool call."""

    content_json: str
    """For the model. With an action TransferCall or CollectDigits: preliminary; the action's own function makes the
    final one."""
    action: Action | None = None
    """What the call has to do now."""
    repeated: bool = False
    """The same key had been carried out before; nothing was done again."""

    @property
    def failed(self) -> bool:
        """Whether the content is an error."""
        return "error" in json.loads(self.content_json)


def error_result(error: str, detail: str, **more: Any) -> ToolResult:
    """A mistake, told to the model in words it can act on."""
    return ToolResult(json.dumps({"error": error, "detail": detail, **more}))


def result(content: Mapping[str, Any], action: Action | None = None) -> ToolResult:
    """`content` as the model gets it."""
    return ToolResult(json.dumps(content), action)
