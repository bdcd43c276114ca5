"""Whole calls, in text: a simulated caller and whoever answers, until one of them hangs up."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from llm_worker.forge.caller import Caller
from llm_worker.forge.ear import listen
from llm_worker.forge.exercise import LANGUAGE
from llm_worker.forge.plan import Plan
from llm_worker.forge.planning import plan as draw_plan
from llm_worker.forge.practice import Split
from llm_worker.forge.records import Conversation
from llm_worker.forge.teacher import Call, Teacher, arguments_json
from llm_worker.forge.transcript import Transcript
from llm_worker.forge.turn import Turn
from llm_worker.forge.world import State, World
from llm_worker.messages import Role


@dataclass(frozen=True, slots=True)
class Talk:
    """A call that is over."""

    conversation: Conversation
    state: State
    gave_up: bool


def taught(seed: int, split: Split, strength: float) -> tuple[Plan, Talk]:
    """The call of this number with the front desk that is to be learnt. Equal arguments give equal calls."""
    made = draw_plan(seed, split)
    return made, hold(made, random.Random(f"talk {split} {seed}"), strength)


def hold(plan: Plan, draw: random.Random, strength: float) -> Talk:
    """A call with the teacher at the desk."""
    world, transcript = World(plan.setup), opened(plan)

    def ask(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        (call,) = transcript.add(Role.ASSISTANT, "", [(name, arguments_json(arguments))])
        result = world.call(call.id, call.name, call.arguments)
        transcript.add(Role.TOOL, result, call_id=call.id)
        content: dict[str, Any] = json.loads(result)
        return content

    teacher = Teacher(plan.practice, plan.setup.now, draw, ask)
    caller = Caller(plan, draw, strength)
    turn: Turn | None = caller.begin()
    while turn is not None:
        transcript.caller_says(turn)
        words, closing = teacher.answer(turn)
        _close(transcript, world, words, closing)
        if closing:
            break
        said = transcript.messages[-1].text
        turn = caller.reply(listen(said, plan.setup.now.date()))
        if caller.cut_in:
            transcript.cut(draw.randrange(1, max(2, len(said.split()) - 2)))
    state = world.state()
    world.close()
    return Talk(conversation(plan, transcript), state, caller.gave_up)


def opened(plan: Plan) -> Transcript:
    """System prompt and greeting."""
    transcript = Transcript()
    transcript.add(Role.SYSTEM, plan.practice.prompt)
    transcript.add(Role.ASSISTANT, plan.practice.greeting)
    return transcript


def conversation(plan: Plan, transcript: Transcript) -> Conversation:
    """The transcript with what else a prompt has."""
    now = plan.setup.now.replace(tzinfo=UTC).isoformat(timespec="seconds")
    return Conversation(
        plan.id,
        "generated",
        now,
        tuple(transcript.messages),
        plan.setup.tools,
        LANGUAGE,
        frozenset(transcript.cut_short),
    )


def _close(transcript: Transcript, world: World, words: str, closing: tuple[Call, ...]) -> None:
    calls = [(name, arguments_json(arguments)) for name, arguments in closing]
    for call in transcript.add(Role.ASSISTANT, words, calls):
        world.call(call.id, call.name, call.arguments)
