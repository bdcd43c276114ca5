"""Fixtures of the telephony tests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from agent.telephony.config import SipSettings
from agent.telephony.sip import SipRuntime
from tests.agent.telephony.support import VirtualLoop, sip_settings

StartSip = Callable[..., Awaitable[tuple[SipRuntime, SipSettings]]]


@pytest.fixture
async def start_sip() -> AsyncIterator[StartSip]:
    """Starts a SIP side with changed settings; stopped after the test."""
    async with AsyncExitStack() as exits:

        async def start(**changes: Any) -> tuple[SipRuntime, SipSettings]:
            settings = sip_settings(**changes)
            return await exits.enter_async_context(SipRuntime(settings)), settings

        yield start


@pytest.fixture
def virtual() -> Iterator[Callable[[Awaitable[Any]], Any]]:
    """Runs a coroutine in virtual time: `virtual(scenario())`."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:

        async def wrapped(work: Awaitable[Any]) -> Any:
            return await work

        yield lambda work: runner.run(wrapped(work))
