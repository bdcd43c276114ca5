"""A backend at the front desk: holds one exercise in text, as the agent would hold it in speech."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from llm_worker.backends import Backend, Call, Delta, Dialogue, Finished, Step
from llm_worker.checks import Limits
from llm_worker.forge.ear import listen
from llm_worker.forge.exercise import LANGUAGE, Exercise
from llm_worker.forge.turn import STILL_THERE, Turn
from llm_worker.forge.world import LAST, State, World
from llm_worker.messages import Message, Prompt, Role, Sampling
from llm_worker.request import Conversation, Opening
from services.errors import InvalidRequest, ServiceError

MOST_ROUNDS = 12
"""Tool calls one after the other before anything is said; more is a loop."""


@dataclass(frozen=True, slots=True)
class Held:
    """A call that is over."""

    exercise: Exercise
    messages: tuple[Message, ...]
    state: State
    turns: int
    """Of the caller."""
    gave_up: bool
    cut_off: bool = False
    """The front desk hung up before the caller had said goodbye."""
    failure: str = ""
    """Why it could not go on: the backend failed, or never stopped calling tools."""


async def hold(exercise: Exercise, backend: Backend, sampling: Sampling) -> Held:
    """Talk until somebody hangs up. What the backend does wrong is a failure of the call and raises nothing."""
    call = _Call(exercise, backend.open(), sampling)
    try:
        failure = await call.run()
    except (ServiceError, InvalidRequest) as error:
        failure = f"{type(error).__name__}: {error}"
    finally:
        call.close()
    return call.held(failure)


class _Call:
    def __init__(self, exercise: Exercise, dialogue: Dialogue, sampling: Sampling) -> None:
        self._exercise = exercise
        self._dialogue = dialogue
        self._sampling = sampling
        self._world = World(exercise.setup)
        self._caller = exercise.caller()
        self._turns = 0
        self._ids = iter(range(1, 1_000_000))
        history = [Message(next(self._ids), Role.SYSTEM, exercise.prompt)]
        history += [Message(next(self._ids), Role.ASSISTANT, exercise.greeting)] if exercise.greeting else []
        opening = Opening(
            exercise.id,
            history=tuple(history),
            tools=exercise.setup.tools,
            language=LANGUAGE,
            now=exercise.now,
        )
        self._conversation = Conversation(opening, Limits())

    def close(self) -> None:
        """Free what the call holds; the state must have been read, or is read from what is left."""
        self._dialogue.close()

    def held(self, failure: str) -> Held:
        """The call as it has ended."""
        state = self._world.state()
        self._world.close()
        caller = self._caller
        cut_off = state.ended and not caller.leaving
        messages = self._conversation.history()
        return Held(self._exercise, messages, state, self._turns, caller.gave_up, cut_off, failure)

    async def run(self) -> str:
        """All turns. Returns why it could not go on; empty: it could."""
        today = self._exercise.setup.now.date()
        turn: Turn | None = self._caller.begin()
        while turn is not None:
            self._say(turn)
            said, over = await self._answered()
            if over:
                return over.removeprefix("ended")
            turn = self._caller.reply(listen(said, today))
            if self._caller.cut_in:
                self._cut(said)
        return ""

    def _say(self, turn: Turn) -> None:
        self._turns += 1
        if turn.silent:
            self._conversation.append(Message(next(self._ids), Role.SYSTEM, STILL_THERE), provisional=False)
        self._conversation.append(Message(next(self._ids), Role.USER, turn.text), provisional=False)

    def _cut(self, said: str) -> None:
        """The caller has heard half of the last answer."""
        last = self._conversation.history()[-1]
        if last.role is Role.ASSISTANT and last.text and not last.tool_calls:
            self._conversation.truncate(last.id, len(last.text) // 2)
            self._dialogue.follow(self._conversation.prompt(self._sampling))

    async def _answered(self) -> tuple[str, str]:
        """(words of the front desk, why the call is over: "ended" where it was meant to be)."""
        said: list[str] = []
        for _ in range(MOST_ROUNDS):
            prompt = self._conversation.begin(next(self._ids), self._sampling)
            text, calls = await self._generated(prompt)
            said.append(text)
            for call_id, name, arguments in calls:
                result = Message(
                    next(self._ids), Role.TOOL, self._world.call(call_id, name, arguments), tool_call_id=call_id
                )
                self._conversation.append(result, provisional=False)
            if any(name in LAST for _, name, _ in calls) and (
                self._world.state().ended or self._world.state().transferred
            ):
                return " ".join(said), "ended"
            if not calls:
                return " ".join(part for part in said if part), ""
        return "", f"{MOST_ROUNDS} tool calls one after the other"

    async def _generated(self, prompt: Prompt) -> tuple[str, list[tuple[str, str, str]]]:
        parts: list[str] = []
        calls: list[tuple[str, str, str]] = []
        steps: AsyncGenerator[Step, None] = self._dialogue.generate(prompt)
        async with aclosing(steps):
            async for step in steps:
                match step:
                    case Delta(text, token_ids):
                        self._conversation.add_text(text, token_ids)
                        parts.append(text)
                    case Call(name, arguments, token_ids):
                        call = self._conversation.add_call(name, arguments, token_ids)
                        calls.append((call.id, name, arguments))
                    case Finished():
                        break
        self._conversation.finish()
        return "".join(parts).strip(), calls
