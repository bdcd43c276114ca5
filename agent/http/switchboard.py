"""What the HTTP interface asks of whoever runs the calls."""

from collections.abc import Sequence
from typing import Any, Protocol


class DialRefused(Exception):
    """The call may not or cannot be placed. The text says why and what to do; it holds no number."""


class Switchboard(Protocol):
    """The calls of this process."""

    async def dial(self, number: str, agent: str) -> str:
        """Begin an outbound call and return its id at once. Raises DialRefused, services.errors.NotFound (no such
        agent) and services.errors.Busy."""

    async def hang_up(self, call_id: str) -> bool:
        """End a call; False: there is no such call now."""

    def active(self) -> Sequence[dict[str, Any]]:
        """The calls that are up, as JSON objects with `id`."""

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether new calls are taken, and a JSON object that says why."""
