"""The record of a call as values: what is written, and what is read back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class WordRow:
    """A word the caller said. Seconds since the call connected."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class TurnRow:
    """One exchange. Writing the same index again replaces the row, so a turn can be written while it grows."""

    index: int
    """From 0; the greeting is a turn too, with no caller text."""
    outcome: str
    """answered, interrupted, abandoned, greeting, …: the words of the metric `trunkline_turns_total`."""
    caller: str = ""
    """What the recogniser understood."""
    agent_sent: str = ""
    """What was handed to the voice."""
    agent_heard: str = ""
    """What can have reached the caller's ear."""
    marks: Mapping[str, float] = field(default_factory=dict)
    """Raw marks, seconds since the call connected."""
    stages: Mapping[str, float] = field(default_factory=dict)
    """Seconds per stage; they add up to `latency`."""
    latency: float | None = None
    """Seconds from the caller's last voiced sample to the agent's first audible one; None where there is none."""
    interrupted: bool = False
    words: tuple[WordRow, ...] = ()


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something that happened in a call."""

    at: float
    """Seconds since the call connected."""
    kind: str
    """tool, digits, hold, interruption, worker_lost, error, …"""
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallRow:
    """A call without its turns. Times are RFC 3339 in UTC, None where it has not happened."""

    id: str
    direction: str
    kind: str
    agent: str
    caller: str
    called: str
    started: str
    connected: str | None
    ended: str | None
    reason: str | None
    """A word of EndReason, or `interrupted`: the agent process died."""
    detail: str
    codec: str
    rate: int | None
    recording: bool
    """Whether there is a recording to fetch."""
    summary: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class CallRecordRows:
    """A call with everything."""

    call: CallRow
    turns: tuple[TurnRow, ...]
    events: tuple[EventRow, ...]

    def as_json(self) -> dict[str, Any]:
        """As the API and the end-of-call webhook show it."""
        return {
            **asdict(self.call),
            "turns": [asdict(turn) for turn in self.turns],
            "events": [asdict(event) for event in self.events],
        }
