"""Fixtures of the telephony tests."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from agent.telephony.config import SipSettings
from agent.telephony.sip import SipRuntime
from tests.agent.telephony.support import sip_settings

StartSip = Callable[..., Awaitable[tuple[SipRuntime, SipSettings]]]


@pytest.fixture
async def start_sip() -> AsyncIterator[StartSip]:
    """Starts a SIP side with changed settings; stopped after the test."""
    async with AsyncExitStack() as exits:

        async def start(**changes: Any) -> tuple[SipRuntime, SipSettings]:
            settings = sip_settings(**changes)
            return await exits.enter_async_context(SipRuntime(settings)), settings

        yield start
