"""Call records in SQLite, written while the call goes on."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agent.store.recorder import Recorder
from agent.store.records import CallRecordRows, CallRow, TurnRow
from agent.telephony.leg import CallInfo


class CallRecord:
    """Writes one call. No method blocks or fails: the writer thread does the work, in order."""

    def connected(self, codec: str, rate: int) -> None:
        """The call is up; `at` of turns and events counts from here."""
        raise NotImplementedError

    def turn(self, row: TurnRow) -> None:
        """Write, or write again, a turn."""
        raise NotImplementedError

    def event(self, kind: str, at: float, **data: Any) -> None:
        """Write an event; `data` must be JSON."""
        raise NotImplementedError

    def digits(self, at: float, keys: str, masked: bool = False) -> None:
        """Write keys the caller pressed; masked: only how many."""
        raise NotImplementedError

    def ended(self, reason: str, detail: str = "", summary: Mapping[str, float] | None = None) -> None:
        """The call is over. The first end counts."""
        raise NotImplementedError

    def recorder(self, rate: int) -> Recorder:
        """Begin the call's recording: one file per call."""
        raise NotImplementedError


class Store:
    """Records and recordings of one directory."""

    @classmethod
    @asynccontextmanager
    async def open(cls, directory: Path) -> AsyncIterator["Store"]:
        """Open or create `directory/calls.sqlite` and `directory/recordings/`. Calls that a dead process left without
        an end become `interrupted`. Raises StartError."""
        raise NotImplementedError
        yield cls()

    def begin(self, info: CallInfo, agent: str) -> CallRecord:
        """A call exists (ringing or being dialled)."""
        raise NotImplementedError

    async def calls(self, limit: int = 50, before: str | None = None) -> list[CallRow]:
        """The newest calls; `before`: older than the call of that id."""
        raise NotImplementedError

    async def call(self, call_id: str) -> CallRecordRows | None:
        """One call with turns and events. Reads what was written before this call, too."""
        raise NotImplementedError

    async def recording(self, call_id: str) -> Path | None:
        """The WAV file, if there is one."""
        raise NotImplementedError

    async def delete(self, call_id: str) -> bool:
        """Remove a call, its turns, events and recording."""
        raise NotImplementedError

    async def sweep(self, retention: Mapping[str, int]) -> int:
        """Delete ended calls older than their agent's days (`retention[agent]`; absent: kept). Returns how many."""
        raise NotImplementedError

    async def flush(self) -> None:
        """Return once everything written so far is on disk."""
        raise NotImplementedError
