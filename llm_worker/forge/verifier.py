"""Rewards that can be checked: a call is judged by its transcript and by what it has changed, not by its wording."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llm_worker.forge import spelling
from llm_worker.forge.plan import Expect, Wanted, WantedNote
from llm_worker.forge.world import LAST, Setup, State, validator
from llm_worker.messages import Message, Role


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reward` from 0 to 1, and why it is not 1."""

    reward: float
    reasons: tuple[str, ...] = ()


class Verifier(Protocol):
    """Checks one finished attempt. Another checker, of proofs for example, takes the calendar's place here."""

    def verify(self, messages: Sequence[Message], state: State) -> Verdict:
        """The verdict on a transcript and the world that it has left. Does not raise for what a model has done."""
        ...


@dataclass(frozen=True, slots=True)
class CalendarVerifier:
    """The book must have gained and lost what the caller wanted, and nothing else. `similar` lets names differ as much
    as the calendar forgives: where the recogniser has misheard them."""

    setup: Setup
    expect: Expect
    similar: bool = False

    def verify(self, messages: Sequence[Message], state: State) -> Verdict:
        """1 if all is as it was wished for, else 0."""
        said = [message.text for message in messages if message.role is Role.ASSISTANT]
        reasons = [
            *self._book(state),
            *self._notes(state),
            *([] if self._handed_over(state) else [f"transferred to {state.transferred or 'nobody'}"]),
            *(f"never said: {each}" for each in self.expect.says if not any(re.search(each, text) for text in said)),
            *(f"said: {each}" for each in self.expect.never if any(re.search(each, text) for text in said)),
        ]
        return Verdict(float(not reasons), tuple(reasons))

    def _book(self, state: State) -> list[str]:
        left = [(entry.name, entry.day, entry.time) for entry in state.appointments]
        kept = list(self.setup.booked)
        reasons = []
        for wanted in self.expect.removes:
            found = [entry for entry in kept if _is(wanted, entry)]
            reasons += [] if found else [f"the exercise has no appointment of {wanted.day}"]
            kept = [entry for entry in kept if entry not in found[:1]]
        for entry in kept:
            if entry in left:
                left.remove(entry)
            else:
                reasons.append(f"an appointment on {entry[1]} at {entry[2]} is gone")
        for wanted in self.expect.adds:
            fitting = [entry for entry in left if _is(wanted, entry, self.similar)]
            if fitting:
                left.remove(fitting[0])
            else:
                reasons.append(f"no appointment on {wanted.day} at {wanted.first} under the caller's name")
        return reasons + [f"an appointment on {day} at {at} that nobody wanted" for _, day, at in left]

    def _handed_over(self, state: State) -> bool:
        return bool(state.transferred) if self.expect.transfer == "*" else state.transferred == self.expect.transfer

    def _notes(self, state: State) -> list[str]:
        left = list(state.messages)
        reasons = []
        for wanted in self.expect.messages:
            fitting = [note for note in left if self._is_note(wanted, note.name, note.text, note.number)]
            if fitting:
                left.remove(fitting[0])
            else:
                reasons.append("no message as the caller left it")
        return reasons + ["a message that nobody left" for _ in left]

    def _is_note(self, wanted: WantedNote, name: str, text: str, number: str) -> bool:
        digits = re.sub(r"\D", "", number)
        # Words of a message are the recogniser's; with its errors the longest of them need not be there.
        about = self.similar or bool(re.search(wanted.about, text))
        return same_name(wanted.name, name, self.similar) and about and digits == (wanted.number or self.setup.caller)


def same_name(one: str, other: str, similar: bool) -> bool:
    """Whether two names are the same person: spelt alike but for accents and case, or nearly alike."""
    return spelling.plain(one) == spelling.plain(other) or (similar and bool(spelling.matches(one, [other])))


def _is(wanted: Wanted, entry: tuple[str, str, str], similar: bool = False) -> bool:
    name, day, at = entry
    return day == wanted.day and wanted.first <= at <= wanted.last and same_name(wanted.name, name, similar)


@dataclass(frozen=True, slots=True)
class CallVerifier:
    """The validity of each tool call: known tool, arguments of its schema, no error that asking first avoids."""

    setup: Setup
    avoidable: frozenset[str] = field(default=frozenset({"unknown_tool", "invalid_arguments", "invalid"}))

    def verify(self, messages: Sequence[Message], state: State) -> Verdict:
        """The share of calls that were valid; 1 where there were none."""
        results = {message.tool_call_id: message.text for message in messages if message.role is Role.TOOL}
        schemas = {tool.name: validator(json.dumps(dict(tool.parameters))) for tool in self.setup.tools}
        reasons, count = [], 0
        for call in (call for message in messages for call in message.tool_calls):
            count += 1
            if call.name not in schemas:
                reasons.append(f"{call.name}: no such tool")
            elif call.name not in LAST and (error := _error(results.get(call.id, "{}"))) in self.avoidable:
                reasons.append(f"{call.name}: {error}")
            elif not _valid(call.arguments) or not schemas[call.name].is_valid(json.loads(call.arguments)):
                reasons.append(f"{call.name}: arguments are not of its schema")
        return Verdict(1 - len(reasons) / count if count else 1.0, tuple(reasons))


def _error(content: str) -> str:
    return str(json.loads(content).get("error", ""))


def _valid(arguments: str) -> bool:
    try:
        json.loads(arguments)
    except ValueError:
        return False
    return True
