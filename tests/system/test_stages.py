"""The waterfall blames the right part: one worker becomes 200 ms slower, and just its stage grows."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from agent.clients.types import Message, Role, ToolCall
from tests.stage import Stage, StageTools
from tests.stage_workers import Reply
from tests.virtual_time import run_virtual

SLOWER = 0.2


def look_up(history: Sequence[Message]) -> Sequence[Reply]:
    """Asks the calendar, then answers."""
    if history[-1].role is Role.TOOL:
        return ["There is a place at ten."]
    return [ToolCall(f"call-{len(history)}", "look", "{}")]


def one_turn(**slower: float) -> dict[str, float]:
    """Stages of a turn with a tool, with some parts slower."""

    async def look(arguments: dict[str, Any]) -> tuple[dict[str, Any], None]:
        await asyncio.sleep(0.1 + slower.get("tool", 0))
        return {"free": True}, None

    async def talk() -> Stage:
        tools = StageTools({"look": ("read", look)})
        async with Stage(look_up, heard=["when can I come, please?"], tools=tools, first_token=0.1) as stage:
            stage.recogniser.seconds = 0.3 + slower.get("transcript", 0)
            stage.turn_model.seconds = 0.05 + slower.get("end_of_turn", 0)
            stage.voice.seconds = 0.1 + slower.get("speech", 0)
            await stage.until(stage.speaking)
            await stage.quiet()
            stage.mind.first_token = 0.1 + slower.get("language_model", 0)
            await stage.say(1.0)
            await stage.until(stage.speaking)
            await stage.quiet()
        return stage

    turn = run_virtual(talk()).record.turns[1]
    assert turn.latency == pytest.approx(sum(turn.stages.values()))
    return dict(turn.stages)


@pytest.mark.parametrize("stage", ["transcript", "tool", "speech", "language_model"])
def test_one_slow_part_shows_in_its_own_stage_only(stage: str) -> None:
    before, after = one_turn(), one_turn(**{stage: SLOWER})
    passes = 2 if stage == "language_model" else 1  # the model is asked again with the tool's result
    for name in before:
        grown = SLOWER * passes if name == stage else 0.0
        assert after[name] - before[name] == pytest.approx(grown, abs=0.03), name
