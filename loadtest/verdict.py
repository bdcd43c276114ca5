"""PURE: whether a call was what its scenario expects, from what the caller heard, what was sent, and the calendar."""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.scenario import Appointment, Scenario
from loadtest.wording import contains, normal, word_error

WORD_ERROR_LIMIT = 0.15


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known once a call is over."""

    sent: str
    """Everything the agent said, as text, as far as it was played."""
    heard: str
    """The same, as a recogniser understands the caller's recording."""
    expected_words: tuple[str, ...]
    """`expect.heard` of the scenario, days filled in."""
    appointments: tuple[Appointment, ...]
    """The calendar, all of it."""


def complaints(scenario: Scenario, expected: Appointment | None, facts: CallFacts) -> list[str]:
    """What is not as expected, a line each."""
    wrong = [f"the caller did not hear {words!r}" for words in facts.expected_words if not contains(facts.heard, words)]
    if (error := word_error(facts.sent, facts.heard)) > WORD_ERROR_LIMIT:
        wrong.append(f"what the caller heard differs from what was said: word error {error:.0%}")
    if expected is not None:
        wrong += booking_complaints(expected, facts.appointments)
    if scenario.expect.no_booking and facts.appointments:
        wrong.append(f"nothing was to be booked, but the calendar holds {len(facts.appointments)}")
    return wrong


def booking_complaints(expected: Appointment, found: Sequence[Appointment]) -> list[str]:
    """Why the calendar is not as it should be, which is exactly this appointment; names without regard to case."""
    wanted = f"{expected.name} on {expected.day} at {expected.time}"
    there = ", ".join(f"{entry.name} on {entry.day} at {entry.time}" for entry in found) or "nothing"
    if len(found) == 1 and _same(expected, found[0]):
        return []
    return [f"the calendar should hold {wanted} and nothing else; it holds {there}"]


def _same(one: Appointment, other: Appointment) -> bool:
    return (one.day, one.time, normal(one.name)) == (other.day, other.time, normal(other.name))
