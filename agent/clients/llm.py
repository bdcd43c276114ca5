"""The language model as one call sees it: one conversation, whichever worker is alive."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import grpc

from agent.clients.failover import Failover, Terms, keeping
from agent.clients.inbox import Inbox
from agent.clients.llm_wire import decode, encode, encode_open
from agent.clients.mirror import Mirror, Step
from agent.clients.types import Message, MindEvent, Opening, Role, Sampling
from agent.clients.workers import Workers
from protos import language_model_pb2 as pb
from protos import language_model_pb2_grpc as pb_grpc
from services.errors import ServiceError

PATIENCE = 1.0
INBOX = 2_000


class Mind:
    """One call's conversation. Operations are non-blocking, act in the order of the calls, and raise ValueError when
    they cannot be (an unknown message, a second generation)."""

    def __init__(self, workers: Workers, call_id: str, opening: Opening) -> None:
        """For LanguageModel."""
        self._call_id = call_id
        self._opening = opening
        self._mirror = Mirror(opening.history)
        self._inbox: Inbox[MindEvent] = Inbox(INBOX)
        terms: Terms[pb.ConverseRequest, pb.ConverseResponse, MindEvent] = Terms(_method, decode, PATIENCE)
        self._failover = Failover(workers, terms, self)

    @property
    def history(self) -> tuple[Message, ...]:
        """What stands in the conversation, as far as operations and events go."""
        return self._mirror.history()

    def append(self, message_id: int, role: Role, text: str, tool_call_id: str = "", provisional: bool = False) -> None:
        """Add a message, or more text to the last one with this id; it is prefilled at once."""
        message = Message(message_id, role, text, tool_call_id=tool_call_id)
        self._take(self._mirror.append(message, provisional))

    def commit(self, message_id: int) -> None:
        """A provisional message now stays."""
        self._take(self._mirror.commit(message_id))

    def retract(self, message_id: int) -> None:
        """Take a provisional message and everything after it out; a generation after it ends (Done STOPPED)."""
        self._take(self._mirror.retract(message_id))

    def generate(self, generation_id: int, sampling: Sampling | None = None) -> None:
        """Begin an answer. Ends with Done or GenerationLost. One at a time (stop the one before first)."""
        self._take(self._mirror.generate(generation_id, sampling))

    def stop(self, generation_id: int) -> None:
        """End a generation, if it has not ended; its text so far stays, later deltas are not delivered; Done
        follows."""
        self._take(self._mirror.stop(generation_id))

    def truncate(self, generation_id: int, keep: int) -> None:
        """Keep only the first `keep` code points of an answer (it is stopped first); Truncated follows. Tool calls
        and their results stay."""
        self._take(self._mirror.truncate(generation_id, keep))

    def events(self) -> AsyncIterator[MindEvent]:
        """Everything that happens, in order; one consumer. Raises InvalidRequest, NotFound, InternalError."""
        return self._inbox.listen()

    # What Failover calls.

    def opening(self) -> Iterable[pb.ConverseRequest]:
        """The conversation as it stands."""
        history, operations = self._mirror.opening()
        yield encode_open(self._call_id, self._opening, history)
        yield from map(encode, operations)

    def opened(self) -> None:
        self._mirror.opened()

    async def received(self, event: MindEvent) -> None:
        if (mine := self._mirror.received(event)) is not None:
            await self._inbox.deliver(mine)

    def lost(self, opened: bool) -> None:
        self._post(self._mirror.lost(opened))

    def unreachable(self, error: ServiceError) -> None:
        self._post(self._mirror.unreachable(str(error)))

    def movable(self) -> bool:
        return not self._mirror.busy

    def refused(self, error: ServiceError) -> bool:
        return False

    def complete(self) -> bool:
        return False

    def ended(self, error: ServiceError | None) -> None:
        self._inbox.end(error)

    def _take(self, step: Step) -> None:
        for operation in step.send:
            self._failover.send(encode(operation))
        self._post(step.events)
        if step.restart:
            self._failover.restart()

    def _post(self, events: Iterable[MindEvent]) -> None:
        for event in events:
            self._inbox.post(event)


class LanguageModel:
    """Opens conversations. One per process."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    @asynccontextmanager
    async def open(self, call_id: str, opening: Opening) -> AsyncIterator[Mind]:
        """A conversation that lives as long as the context. Entering does not wait for a worker."""
        mind = Mind(self._workers, call_id, opening)
        async with keeping(mind._failover, call_id):
            yield mind


def _method(
    channel: grpc.aio.Channel,
) -> "grpc.aio.StreamStreamMultiCallable[pb.ConverseRequest, pb.ConverseResponse]":
    return pb_grpc.LanguageModelStub(channel).Converse
