"""What a conversation starts from, and the ids of what is said in it."""

import itertools
import json
from datetime import datetime

from agent.clients.types import Message, Opening, Role, Tool
from agent.definition import AgentDefinition
from agent.listening.lexical import Expecting
from agent.tools.results import ToolSpec

_EXPECTING: dict[str, Expecting] = {"name": "name", "number": "digits", "date": "day", "yes_no": "yes_no"}


class Ids:
    """Ids of messages and generations: one space, growing from 1."""

    def __init__(self) -> None:
        self._next = itertools.count(1)

    def __call__(self) -> int:
        """A new id."""
        return next(self._next)


def opening(definition: AgentDefinition, specs: list[ToolSpec], now: datetime, new_id: Ids) -> Opening:
    """The system prompt and the greeting, before the caller has said anything. `now` carries its time zone."""
    history = [Message(new_id(), Role.SYSTEM, definition.prompt)]
    if definition.greeting:
        history.append(Message(new_id(), Role.ASSISTANT, definition.greeting))
    tools = tuple(Tool(s.name, s.description, json.loads(s.parameters_json)) for s in specs)
    return Opening(
        tuple(history),
        tools,
        language=definition.language,
        now=now.isoformat(timespec="seconds"),
        model=definition.model,
    )


def expecting(definition: AgentDefinition, said: str) -> Expecting | None:
    """What kind of answer the last thing that the agent said asks for."""
    answer = definition.expected_answer(said)
    return _EXPECTING.get(answer) if answer else None
