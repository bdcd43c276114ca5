"""The messages of a call while it is held, whoever answers. PURE bookkeeping."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from llm_worker.forge.turn import STILL_THERE, Turn
from llm_worker.messages import Message, Role, ToolCall


@dataclass
class Transcript:
    """Grows message by message; ids are those that the worker gives."""

    messages: list[Message] = field(default_factory=list)
    cut_short: set[int] = field(default_factory=set)
    """Ids of answers of which the caller has heard only the beginning."""

    def add(
        self, role: Role, text: str, calls: Sequence[tuple[str, str]] = (), call_id: str = ""
    ) -> tuple[ToolCall, ...]:
        """Append; `calls` are names and arguments. Returns them with their ids."""
        number = len(self.messages) + 1
        made = tuple(ToolCall(f"{number:07x}{index:02x}", *call) for index, call in enumerate(calls))
        self.messages.append(Message(number, role, text, tool_calls=made, tool_call_id=call_id))
        return made

    def caller_says(self, turn: Turn) -> None:
        """The caller's words, after the agent's note that it has asked whether anybody is there."""
        if turn.silent:
            self.add(Role.SYSTEM, STILL_THERE)
        self.add(Role.USER, turn.text)

    def cut(self, keep: int) -> None:
        """The caller has heard only so many words of the last answer."""
        last = self.messages[-1]
        if last.role is Role.ASSISTANT and not last.tool_calls:
            self.messages[-1] = replace(last, text=" ".join(last.text.split()[:keep]))
            self.cut_short.add(last.id)
