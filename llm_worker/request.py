"""The state of one conversation: its messages in order, what is provisional, and the generation that runs.

Pure bookkeeping. Operations check themselves and raise InvalidRequest naming the field; the history that they leave
is the whole truth: opening a fresh conversation with it gives the same prompt.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from llm_worker.checks import (
    Limits,
    check_choice,
    check_message,
    check_sampling,
    check_setting,
    check_text,
    check_tools,
)
from llm_worker.messages import Message, Prompt, Role, Sampling, Tool, ToolCall
from services.errors import InvalidRequest


@dataclass(frozen=True)
class Opening:
    """How a conversation begins, or begins again on another worker."""

    conversation_id: str = ""
    model: str = ""
    history: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    language: str = ""
    now: str = ""


@dataclass
class _Entry:
    """A message while it can still change. `pieces` are as they came: text, and the ids it was decoded from."""

    id: int
    role: Role
    pieces: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    tool_call_id: str = ""
    provisional: bool = False
    generated: bool = False
    """Made here, so that pieces begin at token starts."""

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.pieces)

    def message(self) -> Message:
        ids = tuple(token for _, tokens in self.pieces for token in tokens)
        return Message(self.id, self.role, self.text, ids, tuple(self.calls), self.tool_call_id)


class Conversation:
    """Operations on one conversation, in the order in which they were sent."""

    def __init__(self, opening: Opening, limits: Limits | None = None) -> None:
        """Take over the history. Raises InvalidRequest when it, the tools or the sampling break a rule."""
        self._opening = opening
        self._limits = limits or Limits()
        self._entries: dict[int, _Entry] = {}  # in order; a message that grows keeps its place
        self._used: set[int] = set()  # also ids of what was retracted: late events of theirs are told apart by id
        self._size = 0
        self._running: int | None = None
        check_setting(opening.conversation_id, opening.model, opening.language, opening.now)
        check_tools(opening.tools, self._limits)
        check_sampling("open.sampling", opening.sampling)
        check_choice("open.sampling", opening.sampling, opening.tools)
        if len(opening.history) > self._limits.messages:
            raise InvalidRequest(
                "open.history", f"{len(opening.history)} messages, at most {self._limits.messages} are taken"
            )
        for index, message in enumerate(opening.history):
            self._take(f"open.history[{index}]", message)

    @property
    def running(self) -> int | None:
        """Id of the generation that has not ended."""
        return self._running

    def history(self) -> tuple[Message, ...]:
        """The messages as they stand."""
        return tuple(entry.message() for entry in self._entries.values())

    def prompt(self, sampling: Sampling | None = None) -> Prompt:
        """What an answer to the history depends on; `sampling` overrides the conversation's."""
        opening = self._opening
        drawn = opening.sampling.overridden(sampling or Sampling())
        return Prompt(
            conversation_id=opening.conversation_id,
            messages=self.history(),
            tools=opening.tools,
            sampling=drawn,
            model=opening.model,
            language=opening.language,
            now=opening.now,
        )

    def append(self, piece: Message, provisional: bool) -> None:
        """Add a message, or add to the last one when the id is its id.

        A piece that is not provisional commits the message that it adds to.
        """
        if piece.role is Role.ASSISTANT:
            raise InvalidRequest("append.role", "ROLE_SYSTEM, ROLE_USER or ROLE_TOOL; answers come from `generate`")
        entry = self._entries.get(piece.id)
        if entry is not None and entry.role is Role.ASSISTANT:
            raise InvalidRequest("append.message_id", f"{piece.id} is an answer, not an appended message")
        if entry is None:
            self._take("append", piece, id_field="message_id", provisional=provisional)
        else:
            self._grow(entry, piece, provisional)

    def commit(self, message_id: int) -> None:
        """Make a provisional message part of the history. Committing twice changes nothing."""
        self._appended("commit.message_id", message_id).provisional = False

    def retract(self, message_id: int) -> int | None:
        """Take a provisional message and all that follows it out. Returns the id of the generation it stopped."""
        entry = self._appended("retract.message_id", message_id)
        if not entry.provisional:
            raise InvalidRequest("retract.message_id", f"{message_id} is committed; only provisional messages go")
        ids = list(self._entries)
        gone = ids[ids.index(message_id) :]
        stopped = self._running if self._running in gone else None
        if stopped is not None:
            self._running = None
        for number in gone:
            entry = self._entries.pop(number)
            self._size -= len(entry.text) + sum(len(call.arguments) for call in entry.calls)
        return stopped

    def begin(self, generation_id: int, sampling: Sampling) -> Prompt:
        """Begin an answer to the history as it stands, and return what it is drawn from."""
        if self._running is not None:
            raise InvalidRequest(
                "generate.generation_id", f"generation {self._running} has not ended; one runs at a time"
            )
        check_sampling("generate.sampling", sampling)
        check_choice("generate.sampling", sampling, self._opening.tools)
        self._claim("generate.generation_id", generation_id)
        prompt = self.prompt(sampling)
        self._entries[generation_id] = _Entry(generation_id, Role.ASSISTANT, generated=True)
        self._running = generation_id
        return prompt

    def add_text(self, text: str, token_ids: tuple[int, ...] = ()) -> None:
        """Record what the running generation said. `text` begins at a token start when it has ids."""
        self._answer().pieces.append((text, token_ids))
        self._size += len(text)

    def add_call(self, name: str, arguments: str, token_ids: tuple[int, ...] = ()) -> ToolCall:
        """Record a call of the running generation and give it an id."""
        answer = self._answer()
        # Nine letters and digits, because chat templates of the Mistral family refuse any other length. A longer
        # number than fits makes a longer id, which stays unique.
        call = ToolCall(f"{answer.id:07x}{len(answer.calls):02x}", name, arguments, token_ids)
        answer.calls.append(call)
        self._size += len(arguments)
        return call

    def finish(self) -> None:
        """The running generation ended by itself."""
        self._answer()
        self._running = None

    def stop(self, generation_id: int) -> bool:
        """End a generation; False when it had ended already. What was generated stays."""
        if generation_id not in self._used:
            raise InvalidRequest("stop.generation_id", f"{generation_id} is unknown")
        if self._running != generation_id:
            return False
        self._running = None
        return True

    def truncate(self, generation_id: int, keep: int) -> str:
        """Keep the first `keep` code points of an answer, rounded down to a token start. Returns what is kept.

        The generation must have been stopped. An answer that came with `open` can be cut too; its ids are given up,
        since nothing says where in the text they begin.
        """
        entry = self._entries.get(generation_id)
        if entry is None or entry.role is not Role.ASSISTANT:
            raise InvalidRequest("truncate.generation_id", f"no generation {generation_id} in the history")
        before = len(entry.text)
        if keep < before:
            entry.pieces = list(_cut(entry.pieces, keep)) if entry.generated else [(entry.text[:keep], ())]
            self._size -= before - len(entry.text)
        return entry.text

    def _answer(self) -> _Entry:
        if self._running is None:
            raise RuntimeError("no generation runs")
        return self._entries[self._running]

    def _appended(self, where: str, message_id: int) -> _Entry:
        entry = self._entries.get(message_id)
        if entry is None:
            raise InvalidRequest(where, f"no message {message_id} in the history")
        if entry.role is Role.ASSISTANT:
            raise InvalidRequest(where, f"{message_id} is an answer, not an appended message")
        return entry

    def _take(self, where: str, message: Message, id_field: str = "id", provisional: bool = False) -> None:
        """Add a whole message at the end."""
        check_message(where, message, self._limits)
        self._check_result(where, message)
        known = [call.id for entry in self._entries.values() for call in entry.calls]
        for call in message.tool_calls:
            if call.id in known:
                raise InvalidRequest(f"{where}.tool_calls", f"call id {call.id!r} is there twice")
            known.append(call.id)
        size = len(message.text) + sum(len(call.arguments) for call in message.tool_calls)
        if len(self._entries) >= self._limits.messages:
            raise InvalidRequest(where, f"the conversation has {len(self._entries)} messages, no more are taken")
        self._check_size(where, size)
        self._claim(f"{where}.{id_field}", message.id)
        entry = _Entry(message.id, message.role, tool_call_id=message.tool_call_id, provisional=provisional)
        if message.text:
            entry.pieces.append((message.text, message.token_ids))
        entry.calls.extend(message.tool_calls)
        self._entries[message.id] = entry
        self._size += size

    def _grow(self, entry: _Entry, piece: Message, provisional: bool) -> None:
        if next(reversed(self._entries)) != entry.id:
            raise InvalidRequest("append.message_id", f"{entry.id} is not the last message; only that one can grow")
        if piece.role is not entry.role:
            raise InvalidRequest("append.role", f"message {entry.id} began as {entry.role.value}")
        if entry.role is Role.TOOL:
            raise InvalidRequest("append.message_id", f"{entry.id} is a tool result, which comes whole")
        if provisional and not entry.provisional:
            raise InvalidRequest("append.provisional", f"message {entry.id} is committed already")
        check_message("append", piece, self._limits)
        check_text("append.text", entry.text + piece.text, self._limits.message_characters)
        self._check_size("append", len(piece.text))
        if piece.text:
            entry.pieces.append((piece.text, ()))
        entry.provisional = provisional
        self._size += len(piece.text)

    def _check_result(self, where: str, message: Message) -> None:
        if message.role is not Role.TOOL:
            return
        wanted = message.tool_call_id
        if not any(call.id == wanted for entry in self._entries.values() for call in entry.calls):
            raise InvalidRequest(f"{where}.tool_call_id", f"no call {wanted!r} stands before this result")
        if any(entry.tool_call_id == wanted for entry in self._entries.values()):
            raise InvalidRequest(f"{where}.tool_call_id", f"call {wanted!r} has its result already")

    def _check_size(self, where: str, more: int) -> None:
        if self._size + more > self._limits.history_characters:
            most = self._limits.history_characters
            raise InvalidRequest(where, f"the conversation would exceed {most} characters")

    def _claim(self, where: str, number: int) -> None:
        if number in self._used:
            raise InvalidRequest(where, f"id {number} was used before in this conversation")
        self._used.add(number)


def _cut(pieces: Sequence[tuple[str, tuple[int, ...]]], keep: int) -> Iterable[tuple[str, tuple[int, ...]]]:
    """The pieces of the first `keep` code points. One with token ids is kept whole or not at all."""
    for text, tokens in pieces:
        if len(text) <= keep:
            yield text, tokens
            keep -= len(text)
            continue
        if keep and not tokens:
            yield text[:keep], ()
        return
