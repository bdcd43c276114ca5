"""The practice's appointments and messages in SQLite."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from agent.definition import CalendarSettings


class Calendar:
    """One calendar file, touched by one thread of this process; other processes may use it too."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, settings: CalendarSettings, now: Callable[[], datetime] | None = None
    ) -> AsyncIterator["Calendar"]:
        """Open or create the file. `now` (aware) is for tests. Raises StartError: unreadable, not a calendar."""
        raise NotImplementedError
        yield cls()
