"""What a call does to its conversation with the language model."""

from dataclasses import dataclass

from agent.clients.types import Message, Sampling


@dataclass(frozen=True, slots=True)
class Append:
    """Add a message, or text to one."""

    message: Message
    provisional: bool


@dataclass(frozen=True, slots=True)
class Commit:
    """A message is no longer provisional."""

    message_id: int


@dataclass(frozen=True, slots=True)
class Retract:
    """Take a message and what follows it out."""

    message_id: int


@dataclass(frozen=True, slots=True)
class Generate:
    """Begin an answer."""

    generation_id: int
    sampling: Sampling | None


@dataclass(frozen=True, slots=True)
class Stop:
    """End an answer."""

    generation_id: int


@dataclass(frozen=True, slots=True)
class Truncate:
    """Keep the beginning of an answer."""

    generation_id: int
    keep: int


Operation = Append | Commit | Retract | Generate | Stop | Truncate
