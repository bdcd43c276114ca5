"""Your own calls as training data: records as the agent gives them, by `GET /calls/{id}` or the end-of-call webhook,
become conversations."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from llm_worker.forge.records import Conversation
from llm_worker.forge.transcript import Transcript
from llm_worker.forge.world import tools
from llm_worker.messages import Role, Tool

_OWN_WORDS = frozenset({"prompt", "apology", "goodbye"})
"""Outcomes of turns in which the agent spoke without its language model."""


class BadRecord(ValueError):
    """A record that is none; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Agent:
    """What calls were answered with."""

    prompt: str
    tools: tuple[Tool, ...]
    language: str = ""
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class _Event:
    """A tool call and its result."""

    at: float
    name: str
    arguments: str
    result: str


@dataclass
class _Turn:
    begin: float
    outcome: str
    caller: str
    agent: str
    interrupted: bool
    events: list[_Event] = field(default_factory=list)


def agent(path: Path) -> Agent:
    """Prompt and built-in tools of an agent's file. Raises BadRecord."""
    try:
        definition = tomllib.loads(path.read_text(encoding="utf-8"))
        made = tools(definition.get("tools", ()), list(definition.get("transfer", {})))
        zone = str(definition.get("calendar", {}).get("timezone", ""))
        return Agent(
            prompt=str(definition["prompt"]),
            tools=made,
            language=str(definition.get("language", "")),
            zone=ZoneInfo(zone) if zone else datetime.now().astimezone().tzinfo or UTC,
        )
    except (OSError, ValueError, KeyError) as problem:  # a zone that does not exist is a KeyError
        raise BadRecord(f"{path}: not an agent's file: {problem}") from None


def records(path: Path) -> Iterator[dict[str, Any]]:
    """The call records of a file: one JSON object, a list of them, or one a line. Raises BadRecord."""
    text = path.read_text(encoding="utf-8")
    try:
        whole = json.loads(text)
        yield from whole if isinstance(whole, list) else [whole]
        return
    except ValueError:
        pass
    for number, line in enumerate(text.splitlines(), 1):
        try:
            if line.strip():
                yield json.loads(line)
        except ValueError as problem:
            raise BadRecord(f"{path}, line {number}: not JSON: {problem}") from None


def conversation(record: Mapping[str, Any], source: str, desk: Agent) -> Conversation | None:
    """The call as the language model saw it; None where nobody said anything. Raises BadRecord.

    What the caller heard of an answer is its text: one that was cut short is history and is not learnt. Tool calls come
    before the words of the turn that they were made in. Records keep universal time; the model is told local time.
    """
    try:
        turns = _turns(record)
        identity = str(record["id"])
        started = datetime.fromisoformat(str(record.get("connected") or record["started"])).astimezone(desk.zone)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise BadRecord(
            f"record {record.get('id', '?') if isinstance(record, Mapping) else '?'}: {problem!r}"
        ) from None
    if not any(turn.caller for turn in turns) or not any(turn.agent for turn in turns):
        return None
    transcript = Transcript()
    transcript.add(Role.SYSTEM, desk.prompt)
    for turn in turns:
        _play(transcript, turn)
    return Conversation(
        identity,
        source,
        started.isoformat(timespec="seconds"),
        tuple(transcript.messages),
        desk.tools,
        desk.language,
        frozenset(transcript.cut_short),
    )


def _turns(record: Mapping[str, Any]) -> list[_Turn]:
    """In order, each with the tool calls that fall into it."""
    turns = []
    for row in sorted(record["turns"], key=lambda row: int(row["index"])):
        marks = dict(row.get("marks") or {})
        words = row.get("words") or []
        begin = float(words[0]["start"]) if words else min((float(at) for at in marks.values()), default=0.0)
        caller, heard = clean(str(row.get("caller", ""))), clean(str(row.get("agent_heard", "")))
        turns.append(_Turn(begin, str(row["outcome"]), caller, heard, bool(row.get("interrupted"))))
    for event in record.get("events", ()):
        if event["kind"] == "tool" and turns:
            data = event["data"]
            made = _Event(float(event["at"]), str(data["name"]), str(data["arguments"]), str(data["result"]))
            earlier = [turn for turn in turns if turn.begin <= made.at and turn.caller]
            (earlier or turns)[-1 if earlier else 0].events.append(made)
    return turns


def _play(transcript: Transcript, turn: _Turn) -> None:
    if turn.outcome in _OWN_WORDS:
        if turn.agent:
            transcript.add(Role.SYSTEM, f'You said to the caller: "{turn.agent}"')
        return
    if turn.caller:
        transcript.add(Role.USER, turn.caller)
    last = [event for event in turn.events if event.name in ("end_call", "transfer_call")]
    for event in turn.events:
        if event not in last:
            (call,) = transcript.add(Role.ASSISTANT, "", [(event.name, event.arguments)])
            transcript.add(Role.TOOL, event.result, call_id=call.id)
    if turn.agent or last:
        transcript.add(Role.ASSISTANT, turn.agent, [(event.name, event.arguments) for event in last])
        if turn.interrupted:
            transcript.cut_short.add(transcript.messages[-1].id)


def clean(text: str) -> str:
    """Without control characters and double blanks."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
