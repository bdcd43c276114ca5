"""A whole call in which the caller presses keys that must not be kept, with a language model behind HTTP."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from agent.audio import Samples
from loadtest.performance import RATE
from scripts.onecall import place_call
from scripts.stack import StackOptions, running
from tests.llm_worker import openai_stub
from tests.llm_worker.openai_stub import Stub, call_piece, chunk, says
from tests.system import practice
from tests.system.practice import at, scenario

pytestmark = [pytest.mark.models, pytest.mark.realtime, pytest.mark.timeout(900)]

TONE = 0.3
FIRST, SECOND = "47110815", "90210776"
ASK = {"max_digits": 12, "terminator": "#", "timeout_seconds": 3, "masked": True}


def asks(prompt: str) -> tuple[dict[str, Any], ...]:
    """The model asks for keys."""
    arguments = json.dumps({**ASK, "prompt": prompt})
    return (
        chunk(tool_calls=[call_piece(0, "collect_digits", arguments, id=f"call-{len(prompt)}")]),
        chunk("tool_calls"),
    )


async def model(stub: Stub, request: web.Request) -> web.StreamResponse:
    """Asks for a number, once more when it was not ended by a key, and says goodbye."""
    last = stub.requests[-1]["messages"][-1]
    if last["role"] != "tool":
        return await says(*asks("Please enter your number."))(stub, request)
    if not json.loads(last["content"]).get("complete"):
        return await says(*asks("Please enter it again, and press the pound key."))(stub, request)
    goodbye = chunk(tool_calls=[call_piece(0, "end_call", "{}", id="call-end")])
    return await says(chunk(content="Thank you. Goodbye."), goodbye, chunk("tool_calls"))(stub, request)


def given(stub: Stub) -> list[dict[str, Any]]:
    """The results of tools that the model was last shown."""
    return [json.loads(m["content"]) for m in stub.requests[-1]["messages"] if m["role"] == "tool"]


async def test_keys_end_by_time_or_by_a_key_and_stay_between_caller_and_model(tmp_path: Path) -> None:
    practice.write(tmp_path / "agents", "desk", practice.recorded("announce", "This call is recorded."), silence=20)
    (tmp_path / "call").mkdir()
    steps = scenario(
        tmp_path / "call" / "steps.toml",
        'say = "I would like to change my number."',
        "listen = true",
        f'digits = "{FIRST}"\nwait = false',
        f'digits = "{SECOND}#"',
    )
    async with openai_stub.running(Stub(model)) as stub:
        environment = {
            "TRUNKLINE_AGENT_AGENTS": str(tmp_path / "agents"),
            "TRUNKLINE_LLM_BACKEND": "openai",
            "TRUNKLINE_LLM_URL": stub.url,
        }
        async with running(StackOptions(tmp_path / "data", environment=environment)) as stack:
            placed = await place_call(stack, steps, tmp_path / "call", called="desk")
    assert placed.complaint == ""
    assert placed.record["reason"] == "agent_hung_up"
    first, second = given(stub)[:2]
    assert first == {"digits": FIRST, "complete": False}, "no key ended it, only time"
    assert second == {"digits": SECOND, "complete": True}

    record = json.dumps(placed.record, ensure_ascii=False)
    assert "".join(data["keys"] for _, data in at(placed.record, "digits")) == "•" * len(FIRST + SECOND + "#")
    kept = [*(tmp_path / "data").glob("*.sqlite*"), *(tmp_path / "data" / "log").glob("*.log")]
    assert len(kept) > 4
    for number in (FIRST, SECOND):
        assert number not in record
        for file in kept:
            assert number.encode() not in file.read_bytes(), file.name

    sound = practice.recording(tmp_path / "data", placed.record)
    assert sound is not None
    for began, ended in pressing(placed.record):
        assert not between(sound, began, ended).any(), "silence in the recording while keys are pressed"
    assert between(sound, 0, pressing(placed.record)[0][0]).any()


def pressing(record: Any) -> list[tuple[float, float]]:
    """From the first key of each number to the end of the last one's tone, in seconds."""
    times = [moment for moment, _ in at(record, "digits")]
    return [(times[0], times[len(FIRST) - 1] + TONE), (times[len(FIRST)], times[-1] + TONE)]


def between(sound: Samples, began: float, ended: float) -> Samples:
    """A part of a recording."""
    return sound[round(began * RATE) : round(ended * RATE)]
