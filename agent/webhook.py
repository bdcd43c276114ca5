"""Tells another system that a call has ended: its record, signed, tried again when it does not arrive."""

import asyncio
import hashlib
import hmac
import json
import logging
import os
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
from prometheus_client import Counter

from agent.definition import EndWebhook
from agent.store import Store

log = logging.getLogger(__name__)

MOST_WAITING = 1000
"""Ended calls that may wait. Then new ones are dropped and counted: the records are in the store all the same."""
SENDERS = 32
"""Posts under way at once, so that one dead address does not hold up another's calls for long."""
FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
SIGNATURE = "Trunkline-Signature"
"""Header: `t=<seconds since 1970>,v1=<hex HMAC-SHA256 of "<t>.<body>">`. The time lets the receiver refuse replays."""

posted = Counter("trunkline_end_webhooks_total", "Records of ended calls sent to webhooks.", ["outcome"])


def signature(key: bytes, seconds: int, body: bytes) -> str:
    """Value of the header SIGNATURE."""
    digest = hmac.new(key, f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


class EndOfCall:
    """Posts ended calls in the background; no call waits for it."""

    def __init__(self, session: aiohttp.ClientSession, store: Store, wait: Callable[[int], float]) -> None:
        self._session = session
        self._store = store
        self._wait = wait
        self._waiting: asyncio.Queue[tuple[EndWebhook, str]] = asyncio.Queue(MOST_WAITING)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        session: aiohttp.ClientSession,
        store: Store,
        wait: Callable[[int], float] | None = None,
        grace: float = 5.0,
    ) -> AsyncIterator["EndOfCall"]:
        """Runs until the context ends; then what waits has `grace` seconds. `wait(attempt)` is the pause before the
        next attempt, from 1."""
        end_of_call = cls(session, store, wait or _pause)
        senders = [asyncio.create_task(end_of_call._send()) for _ in range(SENDERS)]
        try:
            yield end_of_call
            try:
                async with asyncio.timeout(grace):
                    await end_of_call._waiting.join()
            except TimeoutError:
                log.warning("records of ended calls were not posted: the process ends")
        finally:
            for sender in senders:
                sender.cancel()
            await asyncio.gather(*senders, return_exceptions=True)

    def post(self, webhook: EndWebhook, call_id: str) -> None:
        """Post the call's record, with retries. Returns at once."""
        try:
            self._waiting.put_nowait((webhook, call_id))
        except asyncio.QueueFull:
            posted.labels("dropped").inc()
            log.error("too many records wait for the end-of-call webhook; one is dropped", extra={"call_id": call_id})

    async def _send(self) -> None:
        while True:
            webhook, call_id = await self._waiting.get()
            try:
                outcome = await self._deliver(webhook, call_id)
                posted.labels(outcome).inc()
            except (sqlite3.Error, OSError) as error:
                log.error("a record cannot be read for its webhook", extra={"call_id": call_id, "error": str(error)})
            finally:
                self._waiting.task_done()

    async def _deliver(self, webhook: EndWebhook, call_id: str) -> str:
        """What became of it: delivered, failed, or gone (the record was deleted meanwhile)."""
        record = await self._store.call(call_id)
        if record is None:
            return "gone"
        body = json.dumps({"event": "call_ended", "call": record.as_json()}).encode()
        problem = ""
        for attempt in range(1, webhook.attempts + 1):
            status, problem = await self._attempt(webhook, call_id, body)
            if 200 <= status < 300:
                return "delivered"
            if 300 <= status < 500 and status not in (408, 425, 429):
                break  # will not be better for asking again
            if attempt < webhook.attempts:
                await asyncio.sleep(self._wait(attempt))
        log.error("end-of-call webhook failed", extra={"call_id": call_id, "problem": problem})
        return "failed"

    async def _attempt(self, webhook: EndWebhook, call_id: str, body: bytes) -> tuple[int, str]:
        """(status, problem); status 0: no answer."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": call_id}
        if webhook.secret_variable:
            key = os.environ.get(webhook.secret_variable, "").encode()
            headers[SIGNATURE] = signature(key, int(time.time()), body)
        try:
            async with asyncio.timeout(webhook.timeout_seconds):
                async with self._session.post(
                    webhook.url, data=body, headers=headers, allow_redirects=False
                ) as response:
                    return response.status, f"status {response.status}"
        except TimeoutError:
            return 0, f"no answer within {webhook.timeout_seconds:g} s"
        except aiohttp.ClientError as error:
            return 0, type(error).__name__


def _pause(attempt: int) -> float:
    """Seconds before the next attempt: doubling, with some chance in it so that retries do not come in step."""
    doubled: float = FIRST_WAIT * 2 ** (attempt - 1)
    return min(LONGEST_WAIT, doubled) * random.uniform(0.75, 1.25)
