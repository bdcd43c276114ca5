"""The seam between conversations and what answers them.

A backend opens a `Dialogue` for each conversation and tells it of every change, always as the prompt that stands now, a
value. One with a cache keeps what old and new prompt begin with, to the exact token; so retracting, truncating and
reopening are no operations of their own and cannot leave it in a wrong state. Backends without a cache answer whole
prompts (`Answers`); `Stateless` makes dialogues of them.
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
    """The model asks for a tool. `arguments` is a JSON object, as text; the ids of the whole call where the backend
    shows them."""

    name: str
    arguments: str
    token_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """The last item of an answer."""

    reason: Reason
    usage: Usage = field(default_factory=Usage)


Step = Delta | Call | Finished


class Dialogue(Protocol):
    """A backend's side of one conversation. At most one answer is generated at a time."""

    async def prefill(self, prompt: Prompt) -> Usage:
        """Compute the prompt ahead of `generate`. Its last message can still grow, so it is not closed yet.

        While an answer is generated the prompt is only counted: the answer goes on from where it began.
        """
        ...

    def follow(self, prompt: Prompt) -> None:
        """The history was cut: what is no longer part of it is forgotten at once."""
        ...

    def generate(self, prompt: Prompt) -> AsyncGenerator[Step, None]:
        """The answer, piece by piece, `Finished` last. Closing the iterator frees what the answer holds at once."""
        ...

    def close(self) -> None:
        """The conversation has ended, or its client has vanished. May be called again."""
        ...


class Backend(Protocol):
    """Holds conversations. Errors, also those of dialogues, are ServiceErrors: NotFound (model), InvalidRequest, Busy,
    Unavailable, InternalError."""

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

    def open(self) -> Dialogue:
        """A conversation begins."""
        ...


class Answers(Protocol):
    """What answers whole prompts and remembers nothing between them."""

    async def prefill(self, prompt: Prompt) -> Usage:
        """See `Dialogue`."""
        ...

    def generate(self, prompt: Prompt) -> AsyncGenerator[Step, None]:
        """See `Dialogue`."""
        ...


class Stateless:
    """A dialogue whose backend is asked with the whole prompt each time."""

    def __init__(self, answers: Answers) -> None:
        self.prefill, self.generate = answers.prefill, answers.generate

    def follow(self, prompt: Prompt) -> None:
        """There is nothing to forget."""

    def close(self) -> None:
        """There is nothing to free."""
