"""Tells another system that a call has ended."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from agent.definition import EndWebhook
from agent.store import Store


class EndOfCall:
    """Posts ended calls in the background. Bounded: a full queue drops the newest and counts it."""

    @classmethod
    @asynccontextmanager
    async def open(cls, session: aiohttp.ClientSession, store: Store) -> AsyncIterator["EndOfCall"]:
        """Runs until the context ends; then waits a few seconds for what is under way."""
        raise NotImplementedError
        yield cls()

    def post(self, webhook: EndWebhook, call_id: str) -> None:
        """Post the call's record, with retries. Returns at once."""
        raise NotImplementedError
