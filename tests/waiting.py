"""Waiting for what happens elsewhere. The limit only bounds a hang: a busy machine may take long."""

import asyncio
from collections.abc import Callable

LONG = 60.0
"""Seconds that anything may take before it is taken for hung."""


async def until(condition: Callable[[], object], seconds: float = LONG) -> None:
    """Return once `condition()` is true. Raises TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what happens elsewhere has no event
            await asyncio.sleep(0.005)
