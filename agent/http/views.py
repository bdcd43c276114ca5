"""Calls as the API shows them. PURE."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from agent.store import CallRecordRows, CallRow, TurnRow


def call_view(call: CallRow) -> dict[str, Any]:
    """A call in a list."""
    return {**asdict(call), "recording": f"/calls/{call.id}/recording" if call.recording else None}


def record_view(record: CallRecordRows) -> dict[str, Any]:
    """A call with transcript, turns (stages are the waterfall of their latency) and events."""
    return record.as_json() | call_view(record.call) | {"transcript": transcript(record.turns)}


def transcript(turns: Sequence[TurnRow]) -> list[dict[str, Any]]:
    """Who said what: the caller's words as recognised, the agent's as far as they were heard. `at` in seconds since
    the call connected, None where no mark tells."""
    lines: list[dict[str, Any]] = []
    for turn in turns:
        if turn.caller:
            at = turn.words[0].start if turn.words else turn.marks.get("caller_stopped")
            lines.append({"speaker": "caller", "text": turn.caller, "at": at})
        if turn.agent_heard:
            at = turn.marks.get("agent_started")
            lines.append({"speaker": "agent", "text": turn.agent_heard, "at": at, "interrupted": turn.interrupted})
    return lines
