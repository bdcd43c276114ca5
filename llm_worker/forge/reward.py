"""Rewards of attempts: where a model tries, and what its attempt was worth by checks of the result."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from llm_worker.backends import Backend
from llm_worker.forge.desk import Held, hold
from llm_worker.forge.exercise import Exercise, simulated
from llm_worker.forge.invention import inventions
from llm_worker.forge.score import conduct
from llm_worker.forge.verifier import CalendarVerifier, CallVerifier, Verdict, Verifier
from llm_worker.forge.world import State
from llm_worker.messages import Message, Sampling


class Environment(Protocol):
    """Where a model tries. A loop with a checker of proofs, for example, takes the place of calls here."""

    async def attempt(self, number: int, held: bool, backend: Backend, sampling: Sampling) -> Verdict:
        """One attempt at the exercise of this number, of those held out or of those to learn from. The same number is
        the same exercise, to the last word that does not depend on the model. What the model does wrong does not raise.
        """
        ...


@dataclass(frozen=True, slots=True)
class InventionVerifier:
    """Nothing may be said that neither the prompt nor a tool nor the caller gave."""

    prompt: str
    today: date

    def verify(self, messages: Sequence[Message], state: State) -> Verdict:
        """1 if nothing was made up, else 0."""
        found = inventions(messages, self.prompt, self.today)
        return Verdict(float(not found), tuple(found))


def checks(exercise: Exercise, similar: bool) -> tuple[Verifier, ...]:
    """What a call of the front desk is judged by: the calendar, each tool call, nothing made up."""
    return (
        CalendarVerifier(exercise.setup, exercise.expect, similar),
        CallVerifier(exercise.setup),
        InventionVerifier(exercise.prompt, exercise.setup.now.date()),
    )


def judged(held: Held, verifiers: Sequence[Verifier]) -> Verdict:
    """The product of all verdicts, so that nothing makes up for a wrong calendar; 0 for a call that the caller was
    driven out of, or that was no conversation."""
    verdicts = [verifier.verify(held.messages, held.state) for verifier in verifiers]
    reward, wrong = 1.0, conduct(held)
    for verdict in verdicts:
        reward *= verdict.reward
    reasons = (*wrong, *(reason for verdict in verdicts for reason in verdict.reasons))
    return Verdict(0.0 if wrong else reward, reasons)


@dataclass(frozen=True, slots=True)
class Calls:
    """Simulated callers. `noise` multiplies the recogniser's error rates; 0 is none."""

    noise: float = 0.0
    checks: Callable[[Exercise, bool], Sequence[Verifier]] = checks

    async def attempt(self, number: int, held: bool, backend: Backend, sampling: Sampling) -> Verdict:
        """See `Environment`: one call, held in text."""
        exercise = simulated(number, "held" if held else "train", self.noise)
        verifiers = self.checks(exercise, self.noise > 0)
        return judged(await hold(exercise, backend, sampling), verifiers)
