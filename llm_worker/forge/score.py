"""Calls into figures: success, arguments, inventions, with 95 % intervals. PURE."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import time
from typing import Any

from llm_worker.forge.desk import Held
from llm_worker.forge.exercise import Allowed
from llm_worker.forge.hours import Unclear, read_day
from llm_worker.forge.invention import inventions
from llm_worker.forge.verifier import CalendarVerifier, CallVerifier, same_name
from llm_worker.forge.world import LAST
from llm_worker.messages import Role

_DECLINES = re.compile(
    r"\bcan('t|not)\b|not able|unable|\bonly\b|don't (know|have|take|see|treat)|sorry|afraid|unfortunately|not allowed|"
    r"wrong number|take a message|no information|hang up|not something",
    re.IGNORECASE,
)
SUCCESS = "task success"
_TARGETS = {"tool arguments right": 0.97, "calls without invention": 0.99}


@dataclass(frozen=True, slots=True)
class Scored:
    """One call."""

    id: str
    flow: str
    desk: str
    success: bool
    reasons: tuple[str, ...]
    inventions: tuple[str, ...]
    arguments_right: int
    arguments: int
    valid_calls: float
    turns: int
    hung_up: bool
    """The front desk has ended or handed over the call itself."""
    gave_up: bool
    declines: bool
    declined: bool


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    count: int
    of: int

    @property
    def value(self) -> float:
        """0 to 1; 0 of nothing."""
        return self.count / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, 95 %."""
        return wilson(self.count, self.of)


def wilson(count: int, of: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval (Wilson 1927) of a share."""
    if not of:
        return 0.0, 1.0
    share, more = count / of, z * z / of
    middle = (share + more / 2) / (1 + more)
    half = z / (1 + more) * math.sqrt(share * (1 - share) / of + more / (4 * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def score(held: Held, similar: bool) -> Scored:
    """One call. `similar`: names may differ as much as the calendar forgives."""
    exercise = held.exercise
    verdict = CalendarVerifier(exercise.setup, exercise.expect, similar).verify(held.messages, held.state)
    calls = CallVerifier(exercise.setup).verify(held.messages, held.state)
    right, of = _arguments(held, similar)
    invented = inventions(held.messages, exercise.prompt, exercise.setup.now.date())
    reasons = (*verdict.reasons, *conduct(held))
    return Scored(
        id=exercise.id,
        flow=exercise.flow,
        desk=exercise.desk,
        success=not reasons,
        reasons=reasons,
        inventions=tuple(invented),
        arguments_right=right,
        arguments=of,
        valid_calls=calls.reward,
        turns=held.turns,
        hung_up=held.state.ended or bool(held.state.transferred),
        gave_up=held.gave_up,
        declines=exercise.declines,
        declined=_declined(held),
    )


def conduct(held: Held) -> tuple[str, ...]:
    """What was wrong with a call, whatever it has left in the calendar."""
    return (
        *(["did not turn down what is not its job"] if held.exercise.declines and not _declined(held) else []),
        *(["said nothing to the caller's words"] if _mute(held) else []),
        *(["the caller gave up"] if held.gave_up else []),
        *(["hung up on the caller"] if held.cut_off else []),
        *([held.failure] if held.failure else []),
    )


def _declined(held: Held) -> bool:
    return any(_DECLINES.search(message.text) for message in held.messages if message.role is Role.ASSISTANT)


def _mute(held: Held) -> bool:
    """Whether some words of the caller had neither words nor the end of the call for an answer."""
    answered = True
    for message in held.messages:
        if message.role is Role.USER:
            if not answered:
                return True
            answered = False
        elif message.role is Role.ASSISTANT:
            answered = answered or bool(message.text.strip()) or any(call.name in LAST for call in message.tool_calls)
    return not answered and not held.failure


def _arguments(held: Held, similar: bool) -> tuple[int, int]:
    """How many arguments of writes are what the caller's words justify, and how many there are."""
    allowed, right, count = held.exercise.allowed, 0, 0
    for call in (call for message in held.messages for call in message.tool_calls):
        try:
            arguments = json.loads(call.arguments)
        except ValueError:
            arguments = None
        if call.name not in _CHECKS:
            continue
        if not isinstance(arguments, dict):
            count += 1
            continue
        results = [check(arguments, allowed, similar) for check in _CHECKS[call.name]]
        count += sum(result is not None for result in results)
        right += sum(bool(result) for result in results)
    return right, count


Arguments = Mapping[str, Any]
_Check = Callable[[Arguments, Allowed, bool], bool | None]


def _name(arguments: Arguments, allowed: Allowed, similar: bool) -> bool | None:
    return any(same_name(name, str(arguments.get("name", "")), similar) for name in allowed.names)


def _number(arguments: Arguments, allowed: Allowed, similar: bool) -> bool | None:
    digits = re.sub(r"\D", "", str(arguments.get("number", "")))
    return digits in allowed.numbers if digits else None


def _when(day_key: str, time_key: str) -> _Check:
    """Day and time together; None where neither is given, which some tools allow."""

    def check(arguments: Arguments, allowed: Allowed, similar: bool) -> bool | None:
        day, at = arguments.get(day_key), arguments.get(time_key)
        if not day and not at:
            return None
        try:
            on = read_day(str(day)) if day else None
            clock = time.fromisoformat(str(at)) if at else None
        except (Unclear, ValueError):
            return False
        return any(
            (on is None or on == option.day) and (clock is None or option.first <= clock <= option.last)
            for option in allowed.times
        )

    return check


_CHECKS: Mapping[str, tuple[_Check, ...]] = {
    "book_appointment": (_name, _when("day", "time")),
    "move_appointment": (_name, _when("new_day", "new_time"), _when("day", "time")),
    "cancel_appointment": (_name, _when("day", "time")),
    "take_message": (_name, _number),
}


def shares(calls: Sequence[Scored]) -> dict[str, Share]:
    """The figures of a run."""
    declining = [call for call in calls if call.declines]
    return {
        SUCCESS: Share(sum(call.success for call in calls), len(calls)),
        "tool arguments right": Share(sum(c.arguments_right for c in calls), sum(c.arguments for c in calls)),
        "calls without invention": Share(sum(not call.inventions for call in calls), len(calls)),
        "calls whose tool calls were all valid": Share(sum(call.valid_calls == 1 for call in calls), len(calls)),
        "out of its job, declined": Share(sum(call.declined for call in declining), len(declining)),
        "ended by the front desk": Share(sum(call.hung_up for call in calls), len(calls)),
        "given up by the caller": Share(sum(call.gave_up for call in calls), len(calls)),
    }


def table(calls: Sequence[Scored], success: float) -> list[str]:
    """As lines of Markdown; `success` is the share of calls that should succeed."""
    targets = _TARGETS | {SUCCESS: success}
    lines = ["| | share | 95 % interval | of | to reach |", "| --- | --- | --- | --- | --- |"]
    for name, share in shares(calls).items():
        low, high = share.interval
        target = f"≥ {targets[name]:.0%}" if name in targets else ""
        lines.append(f"| {name} | {share.value:.1%} | {low:.1%} to {high:.1%} | {share.of} | {target} |")
    turns = sorted(call.turns for call in calls)
    middle = turns[len(turns) // 2] if turns else 0
    return [
        *lines,
        "",
        f"turns of the caller: median {middle}, most {turns[-1] if turns else 0}",
        "",
        *_failures(calls),
    ]


def _failures(calls: Sequence[Scored]) -> list[str]:
    """What went wrong how often, and in which kinds of calls."""
    reasons = Counter(re.sub(r"\d[\d:-]*", "…", reason) for call in calls for reason in call.reasons)
    made_up = Counter(invented.split(":")[0] for call in calls for invented in call.inventions)
    kinds: dict[str, list[bool]] = {}
    desks: dict[str, list[bool]] = {}
    for call in calls:
        kinds.setdefault(call.flow.split("+")[0], []).append(call.success)
        desks.setdefault(call.desk, []).append(call.success)
    lines = [f"- {count} × {reason}" for reason, count in reasons.most_common(8)]
    lines += [f"- {count} × made up: {what}" for what, count in made_up.most_common(6)]
    return [*lines, "", f"success by first wish: {_of(kinds)}", "", f"success by practice: {_of(desks)}"]


def _of(groups: Mapping[str, Sequence[bool]]) -> str:
    return ", ".join(f"{name} {sum(each)}/{len(each)}" for name, each in sorted(groups.items()))


def as_json(calls: Sequence[Scored]) -> dict[str, Any]:
    """Everything, for programs."""
    figures = {
        name: {"value": share.value, "count": share.count, "of": share.of, "interval": list(share.interval)}
        for name, share in shares(calls).items()
    }
    return {"figures": figures, "calls": [asdict(call) for call in calls]}
