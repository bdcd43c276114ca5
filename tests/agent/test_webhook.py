"""The end-of-call webhook against a real server that fails in all ways."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from agent.definition import EndWebhook
from agent.store import Store
from agent.telephony.leg import CallInfo
from agent.webhook import SIGNATURE, EndOfCall, posted
from tests.waiting import LONG


class Receiver:
    """Answers with `statuses` in turn, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.delay = 0.0
        self.got = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.headers.append(dict(request.headers))
        await asyncio.sleep(self.delay)
        self.got.set()
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    @property
    def calls(self) -> list[str]:
        return [json.loads(body)["call"]["id"] for body in self.bodies]


@asynccontextmanager
async def serving(receiver: Receiver) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/ended", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/ended"
    finally:
        await runner.cleanup()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path) as store:
        for name in ("one", "two"):
            record = store.begin(CallInfo(name, "inbound", "+441", "+442", "sip"), "a")
            record.ended("caller_hung_up", "", {"turns": 3})
        yield store


@asynccontextmanager
async def posting(store: Store, waits: list[int] | None = None, grace: float = LONG) -> AsyncIterator[EndOfCall]:
    def wait(attempt: int) -> float:
        if waits is not None:
            waits.append(attempt)
        return 0.0

    async with aiohttp.ClientSession() as session, EndOfCall.open(session, store, wait, grace) as end_of_call:
        yield end_of_call


def hook(url: str, **more: Any) -> EndWebhook:
    return EndWebhook(url=url, **more)


def count(outcome: str) -> float:
    return posted.labels(outcome)._value.get()


async def test_the_record_arrives_signed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("END_KEY", "secret")
    receiver = Receiver()
    async with serving(receiver) as url, posting(store) as end_of_call:
        end_of_call.post(hook(url, secret_variable="END_KEY"), "one")
    body = json.loads(receiver.bodies[0])
    assert body["event"] == "call_ended"
    assert (body["call"]["id"], body["call"]["summary"]) == ("one", {"turns": 3})
    moment, value = receiver.headers[0][SIGNATURE].split(",")
    expected = hmac.new(b"secret", f"{moment[2:]}.".encode() + receiver.bodies[0], hashlib.sha256).hexdigest()
    assert value == f"v1={expected}"
    assert receiver.headers[0]["Idempotency-Key"] == "one"


async def test_without_a_key_there_is_no_signature(store: Store) -> None:
    receiver = Receiver()
    async with serving(receiver) as url, posting(store) as end_of_call:
        end_of_call.post(hook(url), "one")
    assert SIGNATURE not in receiver.headers[0]


@pytest.mark.parametrize("statuses", [(500, 502), (429, 408)])
async def test_what_may_get_better_is_tried_again(store: Store, statuses: tuple[int, ...]) -> None:
    receiver, waits, before = Receiver(*statuses), [], count("delivered")
    async with serving(receiver) as url, posting(store, waits) as end_of_call:
        end_of_call.post(hook(url), "one")
    assert receiver.calls == ["one", "one", "one"]
    assert waits == [1, 2]
    assert count("delivered") == before + 1


@pytest.mark.parametrize(("status", "tries"), [(500, 3), (400, 1), (404, 1), (302, 1)])
async def test_it_gives_up(store: Store, status: int, tries: int) -> None:
    receiver, before = Receiver(*[status] * 9), count("failed")
    async with serving(receiver) as url, posting(store) as end_of_call:
        end_of_call.post(hook(url, attempts=3), "one")
    assert len(receiver.bodies) == tries
    assert count("failed") == before + 1


async def test_a_server_that_is_absent_or_slow_does_not_hold_up_the_next_call(store: Store) -> None:
    slow, quick = Receiver(), Receiver()
    slow.delay = 2 * LONG
    async with serving(slow) as slow_url, serving(quick) as quick_url, posting(store, grace=0.05) as end_of_call:
        end_of_call.post(hook("http://127.0.0.1:9/nobody", attempts=1), "one")
        end_of_call.post(hook(slow_url), "one")
        end_of_call.post(hook(quick_url), "two")
        await asyncio.wait_for(quick.got.wait(), LONG)
    assert quick.calls == ["two"]


async def test_a_time_out_is_an_attempt(store: Store) -> None:
    receiver, before = Receiver(), count("failed")
    receiver.delay = LONG
    async with serving(receiver) as url, posting(store) as end_of_call:
        end_of_call.post(hook(url, timeout_seconds=1, attempts=2), "one")
    assert len(receiver.bodies) == 2
    assert count("failed") == before + 1


async def test_a_full_queue_drops_and_counts(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agent.webhook.MOST_WAITING", 2)
    before, receiver = count("dropped"), Receiver()
    async with serving(receiver) as url, posting(store) as end_of_call:
        for _ in range(5):  # without an await between them: nobody has taken one yet
            end_of_call.post(hook(url), "one")
    assert count("dropped") == before + 3
    assert len(receiver.bodies) == 2
    assert "webhook" in caplog.text


async def test_a_call_that_was_deleted_meanwhile_is_not_posted(store: Store) -> None:
    receiver, before = Receiver(), count("gone")
    await store.delete("one")
    async with serving(receiver) as url, posting(store) as end_of_call:
        end_of_call.post(hook(url), "one")
    assert receiver.bodies == []
    assert count("gone") == before + 1
