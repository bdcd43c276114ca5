"""The language model as one call sees it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from agent.clients.types import Message, MindEvent, Opening, Role, Sampling
from agent.clients.workers import Workers


class Mind:
    """One call's conversation. Operations are non-blocking and act in the order of the calls."""

    @property
    def history(self) -> tuple[Message, ...]:
        """What stands in the conversation, as far as operations and events go."""
        raise NotImplementedError

    def append(self, message_id: int, role: Role, text: str, tool_call_id: str = "", provisional: bool = False) -> None:
        """Add a message, or more text to the last one with this id; it is prefilled at once."""
        raise NotImplementedError

    def commit(self, message_id: int) -> None:
        """A provisional message now stays."""
        raise NotImplementedError

    def retract(self, message_id: int) -> None:
        """Take a provisional message and everything after it out; a generation after it ends (Done STOPPED)."""
        raise NotImplementedError

    def generate(self, generation_id: int, sampling: Sampling | None = None) -> None:
        """Begin an answer. Ends with Done or GenerationLost. One at a time (stop the one before first)."""
        raise NotImplementedError

    def stop(self, generation_id: int) -> None:
        """End a generation; its text so far stays, later deltas are not delivered; Done follows."""
        raise NotImplementedError

    def truncate(self, generation_id: int, keep: int) -> None:
        """Keep only the first `keep` code points of an answer (it is stopped first); Truncated follows. Tool calls
        and their results stay."""
        raise NotImplementedError

    def events(self) -> AsyncIterator[MindEvent]:
        """Everything that happens, in order; one consumer. Raises InvalidRequest, NotFound, InternalError."""
        raise NotImplementedError


class LanguageModel:
    """Opens conversations. One per process."""

    def __init__(self, workers: Workers) -> None:
        raise NotImplementedError

    def open(self, call_id: str, opening: Opening) -> AbstractAsyncContextManager[Mind]:
        """A conversation that lives as long as the context."""
        raise NotImplementedError
