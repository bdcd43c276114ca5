"""Webhook tools against a real HTTP server that is slow, wrong, huge, or absent."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from agent.tools import Toolbox, ToolContext
from agent.tools.webhook import LARGEST
from tests.agent.tools.support import desk, toolbox
from tests.waiting import LONG


class Shop:
    """A server whose answer a test chooses; it remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: Any = {"stock": 3}
        self.status = 200
        self.delay = 0.0
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.headers.append(dict(request.headers))
        await asyncio.sleep(self.delay)
        body = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        headers = {"Location": "/elsewhere"} if self.status == 302 else {}
        return web.Response(body=body, status=self.status, headers=headers, content_type="application/json")


@asynccontextmanager
async def serving(shop: Shop) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", shop.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def definition(port: int, effect: str, timeout: float = LONG) -> str:
    return f"""
[[tool]]
name = "stock"
description = "How many are left."
url = "http://127.0.0.1:{port}/stock"
timeout_seconds = {timeout}
effect = "{effect}"
waiting_phrase = "Let me look."
secret_variable = "SHOP_SECRET"
[tool.parameters]
type = "object"
properties = {{ item = {{ type = "string" }} }}
required = ["item"]
"""


@pytest.fixture
async def shop() -> Shop:
    return Shop()


@pytest.fixture(params=["read"])
async def tools(
    shop: Shop, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Toolbox]:
    monkeypatch.setenv("SHOP_SECRET", "Bearer abc")
    async with serving(shop) as port, toolbox(tmp_path, desk(definition(port, request.param))) as box:
        yield box


async def ask(box: Toolbox, key: str = "t1") -> dict[str, Any]:
    result = await box.call("stock", '{"item": "apple"}', ToolContext("c1", key, "+1202"))
    content: dict[str, Any] = json.loads(result.content_json)
    return content


async def test_the_question_and_the_answer(tools: Toolbox, shop: Shop) -> None:
    assert await ask(tools) == {"stock": 3}
    key = ToolContext("c1", "t1").key("stock", {"item": "apple"})
    assert shop.asked == [{"call_id": "c1", "tool": "stock", "arguments": {"item": "apple"}, "idempotency_key": key}]
    assert shop.headers[0]["Authorization"] == "Bearer abc"
    assert shop.headers[0]["Idempotency-Key"] == key
    spec = tools.spec("stock")
    assert spec is not None
    assert (spec.effect, spec.waiting_phrase) == ("read", "Let me look.")


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (500, {"reason": "bug"}, {"error": "status", "detail": "the server answered 500"}),
        (302, {}, {"error": "status", "detail": "the server answered 302"}),
        (
            409,
            {"reason": "sold"},
            {"error": "status", "detail": "the server answered 409", "answer": {"reason": "sold"}},
        ),
        (200, b"<html>", {"error": "not_json", "detail": "the answer is not a JSON object"}),
        (200, b"\xff\xfe\x00", {"error": "not_json", "detail": "the answer is not a JSON object"}),
        (200, b"[" * 50_000, {"error": "not_json", "detail": "the answer is not a JSON object"}),
        (200, [1, 2], {"error": "not_json", "detail": "the answer is not a JSON object"}),
        (200, b"", {"error": "not_json", "detail": "the answer is not a JSON object"}),
        (
            200,
            {"long": "x" * LARGEST},
            {"error": "too_large", "detail": f"the answer is longer than {LARGEST} bytes"},
        ),
    ],
)
async def test_bad_answers_are_results(
    tools: Toolbox, shop: Shop, status: int, answer: Any, error: dict[str, Any]
) -> None:
    shop.status, shop.answer = status, answer
    assert await ask(tools) == error
    assert len(shop.asked) == 1


async def test_a_slow_server_is_given_up(shop: Shop, tmp_path: Path) -> None:
    shop.delay = LONG
    async with serving(shop) as port, toolbox(tmp_path, desk(definition(port, "read", timeout=0.3))) as box:
        assert await ask(box) == {"error": "timeout", "detail": "no answer within 0.3 s"}


async def test_an_absent_server_is_a_result(tmp_path: Path) -> None:
    async with serving(Shop()) as port:
        pass
    async with toolbox(tmp_path, desk(definition(port, "write"))) as box:
        assert (await ask(box))["error"] == "unreachable"


async def test_wrong_arguments_never_leave_the_house(tools: Toolbox, shop: Shop) -> None:
    result = await tools.call("stock", '{"item": 3}', ToolContext("c1", "t1"))
    assert json.loads(result.content_json)["error"] == "invalid_arguments"
    assert shop.asked == []


@pytest.mark.parametrize("tools", ["write"], indirect=True)
async def test_a_write_is_posted_once_for_each_key(tools: Toolbox, shop: Shop) -> None:
    assert await ask(tools, "t1") == {"stock": 3}
    shop.answer = {"stock": 2}
    assert await ask(tools, "t1") == {"stock": 3}
    assert len(shop.asked) == 1
    assert await ask(tools, "t2") == {"stock": 2}


@pytest.mark.parametrize("tools", ["write"], indirect=True)
async def test_a_write_that_failed_is_posted_again_under_the_same_key(tools: Toolbox, shop: Shop) -> None:
    shop.status = 503
    assert (await ask(tools, "t1"))["error"] == "status"
    shop.status = 200
    assert await ask(tools, "t1") == {"stock": 3}
    keys = [question["idempotency_key"] for question in shop.asked]
    assert len(keys) == 2
    assert keys[0] == keys[1]


async def test_a_read_is_asked_anew_each_time(tools: Toolbox, shop: Shop) -> None:
    await ask(tools)
    await ask(tools)
    assert len(shop.asked) == 2
