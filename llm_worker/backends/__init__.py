"""The seam between conversations and what answers them.

A backend is asked with the whole prompt, a value. One with a cache finds in it the longest prefix that it has
computed already; so retracting, truncating and reopening need nothing of it, and cannot leave it in a wrong state.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from llm_worker.messages import Prompt


class Reason(StrEnum):
    """Why an answer ended."""

    END = "end"
    TOOL_CALLS = "tool_calls"
    LENGTH = "length"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts of tokens, as far as the backend knows them; 0 where it does not."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer's text, beginning at a token start; the ids of its tokens where the backend shows them."""

    text: str
    token_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """The model asks for a tool. `arguments` is a JSON object, as text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The last item of an answer."""

    reason: Reason
    usage: Usage = field(default_factory=Usage)


Step = Delta | Call | Finished


class Backend(Protocol):
    """Answers prompts. Errors are ServiceErrors: NotFound (model), InvalidRequest, Busy, Unavailable, InternalError."""

    @property
    def model(self) -> str:
        """Name of the default model."""
        ...

    @property
    def context_limit(self) -> int:
        """Longest prompt and answer in tokens; 0 where unknown."""
        ...

    async def warm_up(self) -> None:
        """Return once answers come at full speed. Raises when they never will."""
        ...

    async def close(self) -> None:
        """Free what `warm_up` took."""
        ...

    def resolve(self, model: str) -> str:
        """The model that answers when `model` (empty: the default) is asked for. Raises NotFound."""
        ...

    async def prefill(self, prompt: Prompt) -> Usage:
        """Compute the prompt ahead of `generate`. Its last message can still grow, so it is not closed yet."""
        ...

    def generate(self, prompt: Prompt) -> AsyncGenerator[Step, None]:
        """The answer, piece by piece, `Finished` last. Closing the iterator frees what the answer holds at once."""
        ...
