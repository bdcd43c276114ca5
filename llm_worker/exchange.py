"""What goes to and fro on a stream, as values: operations come from the client, events go to it."""

from dataclasses import dataclass

from llm_worker.backends import Reason, Usage
from llm_worker.messages import Message, Sampling, ToolCall
from llm_worker.request import Opening


@dataclass(frozen=True, slots=True)
class Append:
    """A new message, or more of the last one."""

    piece: Message
    provisional: bool


@dataclass(frozen=True, slots=True)
class Commit:
    """A provisional message is part of the history now."""

    message_id: int


@dataclass(frozen=True, slots=True)
class Retract:
    """A provisional message goes, and all that follows it."""

    message_id: int


@dataclass(frozen=True, slots=True)
class Generate:
    """Answer what stands there."""

    generation_id: int
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Stop:
    """End a generation."""

    generation_id: int


@dataclass(frozen=True, slots=True)
class Truncate:
    """Keep only the beginning of an answer."""

    generation_id: int
    keep_code_points: int


Operation = Opening | Append | Commit | Retract | Generate | Stop | Truncate


@dataclass(frozen=True, slots=True)
class Opened:
    """The history was taken over."""

    model: str
    usage: Usage
    context_limit: int


@dataclass(frozen=True, slots=True)
class Prefilled:
    """An append was computed: `tokens` of the whole prompt so far, 0 where the backend does not count."""

    message_id: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of an answer."""

    generation_id: int
    text: str
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """The model asks for a tool."""

    generation_id: int
    call: ToolCall


@dataclass(frozen=True, slots=True)
class Done:
    """A generation has ended. Seconds count from `generate`; `first_token_seconds` is 0 when nothing came."""

    generation_id: int
    reason: Reason
    usage: Usage
    first_token_seconds: float
    total_seconds: float


@dataclass(frozen=True, slots=True)
class Truncated:
    """What is left of an answer."""

    generation_id: int
    kept_text: str


@dataclass(frozen=True, slots=True)
class Leaving:
    """The worker is about to stop, in so many seconds."""

    seconds: float


Event = Opened | Prefilled | Text | Asked | Done | Truncated | Leaving
