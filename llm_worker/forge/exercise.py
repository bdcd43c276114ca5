"""One call of an evaluation: where it takes place, who calls, and what must be true afterwards."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Protocol

from llm_worker.forge.caller import Caller
from llm_worker.forge.ear import Heard
from llm_worker.forge.plan import Expect, Kind, Option, Plan
from llm_worker.forge.planning import plan as draw_plan
from llm_worker.forge.practice import Split, shipped
from llm_worker.forge.turn import Turn
from llm_worker.forge.world import Setup

LANGUAGE = "en-US"
DECLINED = frozenset({Kind.ADVICE, Kind.PRIVACY, Kind.SCOPE, Kind.UNKNOWN, Kind.LOOKUP, Kind.WRONG})
"""Wishes that a front desk politely turns down."""


class CallerLike(Protocol):
    """Who is at the other end."""

    gave_up: bool
    """It has not got what it wanted and leaves."""
    cut_in: bool
    """Its last words were said over those of the front desk."""
    leaving: bool
    """Its last words were a goodbye."""

    def begin(self) -> Turn:
        """The first words."""
        ...

    def reply(self, heard: Heard) -> Turn | None:
        """The next words; None: hangs up."""
        ...


@dataclass(frozen=True, slots=True)
class Allowed:
    """Arguments that the caller's words justify."""

    names: tuple[str, ...]
    times: tuple[Option, ...]
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exercise:
    """A call before it begins. `caller` makes a new caller each time."""

    id: str
    flow: str
    desk: str
    """Name of the practice, for reports."""
    prompt: str
    greeting: str
    setup: Setup
    expect: Expect
    allowed: Allowed
    caller: Callable[[], CallerLike]
    declines: bool = False
    """The caller asks for something that has to be turned down."""

    @property
    def now(self) -> str:
        """RFC 3339."""
        return self.setup.now.replace(tzinfo=UTC).isoformat(timespec="seconds")


def simulated(seed: int, split: Split, strength: float) -> Exercise:
    """The call of this number with a caller by rules."""
    plan = draw_plan(seed, split)
    return of_plan(plan, random.Random(f"call {split} {seed}"), strength)


def of_plan(plan: Plan, draw: random.Random, strength: float) -> Exercise:
    """A plan as an exercise."""
    wishes = plan.wishes
    times = [option for wish in wishes for option in (*wish.options, wish.old, wish.change) if option is not None]
    allowed = Allowed(
        names=tuple(wish.who.name for wish in wishes),
        times=tuple(times),
        numbers=tuple(wish.number for wish in wishes if wish.number),
    )
    state = draw.getstate()

    def caller() -> Caller:
        fresh = random.Random()
        fresh.setstate(state)
        return Caller(plan, fresh, strength)

    return Exercise(
        id=plan.id,
        flow=plan.flow,
        desk=plan.practice.name if plan.practice.name == shipped().name else "others",
        prompt=plan.practice.prompt,
        greeting=plan.practice.greeting,
        setup=plan.setup,
        expect=plan.expect,
        allowed=allowed,
        caller=caller,
        declines=any(wish.kind in DECLINED or (wish.kind is Kind.PERSON and not wish.target) for wish in wishes),
    )
