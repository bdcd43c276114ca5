"""A conversation as the agent knows it: the truth from which any worker can go on. PURE."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from agent.clients.operations import Append, Commit, Generate, Operation, Retract, Stop, Truncate
from agent.clients.types import (
    Done,
    FinishReason,
    GenerationLost,
    Message,
    MindEvent,
    MindLost,
    Prefilled,
    Role,
    Sampling,
    TextDelta,
    ToolCallAsked,
    Truncated,
)


@dataclass(frozen=True, slots=True)
class Step:
    """What follows from an operation."""

    send: tuple[Operation, ...] = ()
    events: tuple[MindEvent, ...] = ()
    restart: bool = False
    """The worker cannot be told: the conversation must be opened anew."""


@dataclass(slots=True)
class _Entry:
    message: Message
    provisional: bool = False

    def add(self, **changes: object) -> None:
        self.message = replace(self.message, **changes)  # type: ignore[arg-type]


@dataclass(slots=True)
class _Worker:
    """What the present worker knows, and what it still owes."""

    known: set[int] = field(default_factory=set)
    frozen: set[int] = field(default_factory=set)
    """Provisional for us, but given to it as history, because an answer follows: cannot be retracted there."""
    ending: dict[int, bool] = field(default_factory=dict)
    """Generations that were told to end: whether text under way still belongs to the history."""
    truncating: Counter[int] = field(default_factory=Counter)


class Mirror:
    """Operations and events in the order in which they happen. Raises ValueError for operations that cannot be."""

    def __init__(self, history: Iterable[Message]) -> None:
        self._entries = {message.id: _Entry(message) for message in history}
        self._running: Generate | None = None
        self._worker: _Worker | None = None
        self._lost_for_long = False

    @property
    def running(self) -> int | None:
        """The generation that has neither ended nor been told to."""
        return self._running.generation_id if self._running else None

    @property
    def busy(self) -> bool:
        """The worker owes something."""
        return self._running is not None or bool(
            self._worker and (self._worker.ending or self._worker.truncating.total())
        )

    def history(self) -> tuple[Message, ...]:
        """The messages as they stand. An answer that has nothing yet is not among them."""
        return tuple(entry.message for entry in self._entries.values() if not _empty(entry.message))

    # Operations of the call.

    def append(self, message: Message, provisional: bool) -> Step:
        """A new message, or more text of one."""
        entry = self._entries.get(message.id)
        if message.role is Role.ASSISTANT or (entry and entry.message.role is not message.role):
            raise ValueError(f"message {message.id} cannot be appended as {message.role}")
        if entry and message.id != next(reversed(self._entries)):
            raise ValueError(f"message {message.id} is not the last one; only that one can grow")
        if entry is None:
            self._entries[message.id] = _Entry(message, provisional)
        else:
            entry.add(text=entry.message.text + message.text)
            entry.provisional = entry.provisional and provisional
        if self._worker is None:
            return Step()
        if message.id in self._worker.frozen:
            return Step(restart=True)
        self._worker.known.add(message.id)
        return Step((Append(message, provisional),))

    def commit(self, message_id: int) -> Step:
        """A provisional message stays."""
        self._entry(message_id).provisional = False
        if self._worker is None or message_id in self._worker.frozen:
            return Step()
        return Step((Commit(message_id),))

    def retract(self, message_id: int) -> Step:
        """A provisional message goes, with all that follows it."""
        if not self._entry(message_id).provisional:
            raise ValueError(f"message {message_id} is committed; only provisional messages can be retracted")
        ids = list(self._entries)
        gone = ids[ids.index(message_id) :]
        events = self._end_running(absorb=False) if self.running in gone else ()
        for number in gone:
            del self._entries[number]
        if self._worker is None:
            return Step((), events)
        frozen = not self._worker.frozen.isdisjoint(gone)
        return Step(() if frozen else (Retract(message_id),), events, restart=frozen)

    def generate(self, generation_id: int, sampling: Sampling | None) -> Step:
        """An answer begins."""
        if self._running is not None:
            raise ValueError(f"generation {self.running} has not ended; stop it before {generation_id}")
        if generation_id in self._entries:
            raise ValueError(f"id {generation_id} is taken")
        if self._worker is None and self._lost_for_long:
            return Step((), (GenerationLost(generation_id, "", reachable=False),))
        self._entries[generation_id] = _Entry(Message(generation_id, Role.ASSISTANT))
        self._running = Generate(generation_id, sampling)
        if self._worker is None:
            return Step()
        self._worker.known.add(generation_id)
        return Step((self._running,))

    def stop(self, generation_id: int) -> Step:
        """An answer ends; nothing if it has ended."""
        if self.running != generation_id:
            return Step()
        events = self._end_running(absorb=True)
        return Step((Stop(generation_id),) if self._worker else (), events)

    def truncate(self, generation_id: int, keep: int) -> Step:
        """Of an answer, only the beginning was heard."""
        events = self._end_running(absorb=False) if self.running == generation_id else ()
        entry = self._entries.get(generation_id)
        if entry is None:  # retracted since
            return Step((), (*events, Truncated(generation_id, "")))
        if keep < len(entry.message.text):
            entry.add(text=entry.message.text[:keep], token_ids=())
        if self._worker is None or generation_id not in self._worker.known:
            return Step((), (*events, Truncated(generation_id, entry.message.text)))
        if generation_id in self._worker.ending:
            self._worker.ending[generation_id] = False
        self._worker.truncating[generation_id] += 1
        return Step((Truncate(generation_id, keep),), events)

    # What happens to the worker.

    def opening(self) -> tuple[tuple[Message, ...], tuple[Operation, ...]]:
        """The history for a fresh worker and the operations after it."""
        entries = list(self._entries.values())
        head = next((i for i, e in enumerate(entries) if e.provisional or e.message.id == self.running), len(entries))
        fixed = [e for e in entries[head:] if e.message.role is Role.ASSISTANT and not _empty(e.message)]
        frozen: set[int] = set()
        if fixed:  # an answer follows: it can only be given as history, with what it answers
            head = entries.index(fixed[-1]) + 1
            frozen = {e.message.id for e in entries[:head] if e.provisional}
        history = tuple(e.message for e in entries[:head] if not _empty(e.message))
        tail: list[Operation] = []
        for entry in entries[head:]:
            if entry.message.role is not Role.ASSISTANT:
                tail.append(Append(entry.message, entry.provisional))
            elif self._running and entry.message.id == self.running:
                tail.append(self._running)
        sent = {m.id for m in history} | {e.message.id for e in entries[head:] if not _idle(e, self.running)}
        self._worker = _Worker(sent, frozen)
        return history, tuple(tail)

    def opened(self) -> None:
        """A worker has taken it."""
        self._lost_for_long = False

    def received(self, event: MindEvent) -> MindEvent | None:
        """Take what the worker said; returns it if the call shall have it."""
        worker = self._worker or _Worker()
        match event:
            case TextDelta(generation_id):
                return event if self._take_text(worker, event) and generation_id == self.running else None
            case ToolCallAsked(generation_id, call):
                entry = self._entries.get(generation_id)
                if entry is None:
                    return None
                entry.add(tool_calls=(*entry.message.tool_calls, call))
                return event
            case Done(generation_id):
                if generation_id == self.running:
                    self._running = None
                elif worker.ending.pop(generation_id, None) is None:
                    return None
                return event
            case Truncated(generation_id, kept):
                return self._take_truncated(worker, event, kept)
            case Prefilled(message_id):
                return event if message_id in self._entries else None
        return event

    def lost(self, opened: bool) -> tuple[MindEvent, ...]:
        """The worker is gone: what it owed is settled here. A generation waits on if the stream never began."""
        worker, self._worker = self._worker or _Worker(), None
        events: list[MindEvent] = [Done(number, FinishReason.STOPPED) for number in worker.ending]
        for number in worker.truncating.elements():
            entry = self._entries.get(number)
            events.append(Truncated(number, entry.message.text if entry else ""))
        if opened and self._running is not None:
            events.append(self._give_up_running(reachable=True))
        return tuple(events)

    def unreachable(self, why: str) -> tuple[MindEvent, ...]:
        """No worker for long."""
        if self._lost_for_long:
            return ()
        self._lost_for_long = True
        return (self._give_up_running(reachable=False) if self._running else MindLost(why),)

    def _entry(self, message_id: int) -> _Entry:
        entry = self._entries.get(message_id)
        if entry is None or entry.message.role is Role.ASSISTANT:
            raise ValueError(f"no appended message {message_id}")
        return entry

    def _end_running(self, absorb: bool) -> tuple[MindEvent, ...]:
        """The running generation is told to end; without a worker it has ended."""
        if self._running is None:
            return ()
        number, self._running = self._running.generation_id, None
        if self._worker is None:
            return (Done(number, FinishReason.STOPPED),)
        self._worker.ending[number] = absorb
        return ()

    def _give_up_running(self, reachable: bool) -> GenerationLost:
        assert self._running is not None
        number, self._running = self._running.generation_id, None
        message = self._entries[number].message
        return GenerationLost(number, message.text, message.tool_calls, reachable)

    def _take_text(self, worker: _Worker, delta: TextDelta) -> bool:
        entry = self._entries.get(delta.generation_id)
        if entry is None or not (delta.generation_id == self.running or worker.ending.get(delta.generation_id)):
            return False
        message = entry.message
        # Ids are worth something only if they are there for the whole text.
        whole = bool(delta.token_ids) and bool(message.token_ids) == bool(message.text) and not message.tool_calls
        entry.add(text=message.text + delta.text, token_ids=message.token_ids + delta.token_ids if whole else ())
        return True

    def _take_truncated(self, worker: _Worker, event: Truncated, kept: str) -> Truncated | None:
        if not worker.truncating[event.generation_id]:
            return None
        worker.truncating[event.generation_id] -= 1
        if (entry := self._entries.get(event.generation_id)) and kept != entry.message.text:
            entry.add(text=kept, token_ids=())
        return event


def _empty(message: Message) -> bool:
    return message.role is Role.ASSISTANT and not message.text and not message.tool_calls


def _idle(entry: _Entry, running: int | None) -> bool:
    """An answer that came to nothing; no worker is told of it."""
    return _empty(entry.message) and entry.message.id != running
