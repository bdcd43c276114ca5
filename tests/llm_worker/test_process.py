"""The worker as a process: serves, announces its end on SIGTERM, chats, says what is wrong."""

import asyncio
import json
import os
import re
import signal
import sys

import aiohttp
import grpc
import pytest

from llm_worker.config import LlmSettings
from protos import language_model_pb2 as pb
from protos import language_model_pb2_grpc as pb_grpc
from services.channels import connect, wait_serving
from services.settings import SettingsError
from tests.waiting import LONG

SERVICE = "trunkline.language_model.v1.LanguageModel"


async def start(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    settings = {f"TRUNKLINE_LLM_{name.upper()}": value for name, value in environment.items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRUNKLINE_")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "llm_worker", *arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=kept | settings
    )


async def test_a_worker_serves_and_drains():
    process = await start(drain_seconds="20")
    assert process.stderr is not None
    async with asyncio.timeout(2 * LONG):
        while "port" not in (line := json.loads(await process.stderr.readline())):
            pass
        async with connect(f"127.0.0.1:{line['port']}") as channel:
            await wait_serving(channel, SERVICE, timeout=LONG)
            call = pb_grpc.LanguageModelStub(channel).Converse()
            await call.write(pb.ConverseRequest(open=pb.Open(conversation_id="c1")))
            assert (await call.read()).opened.model == "front-desk"
            process.send_signal(signal.SIGTERM)
            assert 0 < (await call.read()).draining.deadline_seconds <= 20
            refused = pb_grpc.LanguageModelStub(channel).Converse()  # and nothing written, which would mask the reason
            assert await refused.code() is grpc.StatusCode.UNAVAILABLE
            await call.write(pb.ConverseRequest(generate=pb.Generate(generation_id=1)))
            assert (await call.read()).text.text == "Hello,"
            async with aiohttp.ClientSession() as web:
                page = await web.get(f"http://127.0.0.1:{line['metrics_port']}/metrics")
                numbers = await page.text()
            assert "trunkline_llm_first_token_seconds_count 1.0" in numbers
            assert "trunkline_llm_conversations 1.0" in numbers
            for name in ("token_seconds_count", "cache_tokens 0.0", "queue 0.0"):
                assert f"trunkline_llm_{name}" in numbers
            await call.done_writing()
            while await call.read() is not grpc.aio.EOF:
                pass
        assert await process.wait() == 0  # at once: the last conversation has ended


async def test_chat_books_with_its_small_calendar():
    process = await start("chat", "--now", "2026-11-22T09:00:00+01:00")
    lines = ["This is Anna Miller, an appointment on Tuesday at ten thirty", "yes", "no, bye"]
    out, _ = await asyncio.wait_for(process.communicate("\n".join(lines).encode()), LONG)
    assert process.returncode == 0
    assert 'tool> book_appointment {"name": "Anna Miller", "day": "2026-11-24", "time": "10:30"}' in out.decode()
    assert "You are booked for Tuesday, November 24th at 10:30 AM." in out.decode()


async def test_chat_takes_typed_results():
    process = await start("chat", "--ask-tools", "--now", "2026-11-22T09:00:00+01:00")
    lines = [
        "This is Anna Miller, an appointment on Tuesday at ten thirty",
        "yes",
        "{",
        '{"error": "slot_taken"}',
        "{}",
    ]
    out, _ = await asyncio.wait_for(process.communicate("\n".join(lines).encode()), LONG)
    assert "not JSON" in out.decode()
    assert "nothing free" in out.decode()


async def test_what_prevents_the_start_is_one_line_and_an_exit_code():
    missing = await start(backend="openai", url="http://127.0.0.1:9/v1", warm_up_seconds="0.1")
    wrong = await start("chat", "--now", "soon", max_conversations="0")
    for process, code, text in [(missing, 1, "Start the server"), (wrong, 2, "TRUNKLINE_LLM_MAX_CONVERSATIONS")]:
        _, err = await asyncio.wait_for(process.communicate(), LONG)
        assert process.returncode == code
        assert text in err.decode().splitlines()[-1]
        assert "Traceback" not in err.decode()


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("BACKEND", "magic", "TRUNKLINE_LLM_BACKEND"),
        ("EXTRA_BODY", "{", "TRUNKLINE_LLM_EXTRA_BODY"),
        ("EXTRA_BODY", "[]", "TRUNKLINE_LLM_EXTRA_BODY"),
        ("FIRST_TOKEN_SECONDS", "90", "FIRST_TOKEN_SECONDS must not exceed TOTAL_SECONDS"),
        ("API_KEYS", "x", "Did you mean TRUNKLINE_LLM_API_KEY?"),
    ],
)
def test_settings_that_are_refused(variable, value, problem):
    with pytest.raises(SettingsError, match=re.escape(problem)):
        LlmSettings.read({f"TRUNKLINE_LLM_{variable}": value})


def test_the_key_is_not_shown():
    settings = LlmSettings.read({"TRUNKLINE_LLM_API_KEY": "sesame"})
    assert "sesame" not in f"{settings!r} {settings.describe()}"
