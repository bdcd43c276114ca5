"""PURE: what a simulated caller does, as a value. Scenario files are TOML; a mistake in one is one line that names it.

Texts may hold `{day}` (a name from `days`: so many working days from the day of the call, so that files do not age) and
`[0.6]` (a pause of that many seconds inside the sentence).
"""

import re
import tomllib
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PAUSE = re.compile(r"\s*\[(\d+(?:\.\d+)?)\]\s*")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


_Model = TypeVar("_Model", bound=BaseModel)


class ScenarioError(Exception):
    """One line: which file, which entry, what is wrong."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Voice(_Part):
    """How the caller sounds. The packaged voice, changed."""

    speed: float = Field(default=1.0, ge=0.5, le=2)
    pitch: float = Field(default=1.0, ge=0.6, le=1.5)
    """Factor; by resampling, tempo kept."""
    seed: int = 1


class Noise(_Part):
    """What is heard behind the caller, all the time."""

    kind: Literal["pink", "babble"]
    snr_db: float = Field(ge=-10, le=60)
    """Speech level over noise level."""


class Echo(_Part):
    """The caller's loudspeaker is heard by their microphone: what the agent says comes back, quieter and later."""

    level_db: float = Field(ge=-60, le=-3)
    """Of what comes back over what was heard."""
    delay: float = Field(ge=0.02, le=0.5)
    """Seconds from loudspeaker to line. The buffers of both telephones come on top of it."""
    room: float = Field(default=0.0, ge=0, le=0.6)
    """Seconds in which the room's reverberation falls by 60 dB; 0: one clean copy."""


class Say(_Part):
    """Speak once the agent has finished, or at once."""

    say: str = Field(min_length=1)
    wait: bool = True


class Interrupt(_Part):
    """Talk over the agent, some seconds into the next thing that it begins to say; the agent should stop."""

    interrupt: str = Field(min_length=1)
    after: float = Field(default=1.0, ge=0, le=30)


class Backchannel(_Part):
    """A word of agreement while the agent speaks; the agent should go on. Some seconds into what the agent says, or,
    where it does not wait, after the step before, whatever the agent does."""

    backchannel: str = Field(min_length=1)
    after: float = Field(default=1.0, ge=0, le=3600)
    wait: bool = True


class Digits(_Part):
    """Press keys once the agent has finished."""

    digits: str = Field(pattern=r"^[0-9*#A-D]+$")
    wait: bool = True


class Pause(_Part):
    """Say nothing for so many seconds, whatever the agent does."""

    pause: float = Field(gt=0, le=120)


class Listen(_Part):
    """Wait until the agent has said something and has finished."""

    listen: Literal[True]


class Hold(_Part):
    """Put the agent on hold for so many seconds, some seconds into what it says next."""

    hold: float = Field(gt=0, le=120)
    after: float = Field(default=1.0, ge=0, le=30)


class HangUp(_Part):
    """End the call once the agent has finished, or at once. Without it, the agent is expected to."""

    hang_up: Literal[True]
    wait: bool = True


Step = Say | Interrupt | Backchannel | Digits | Pause | Listen | Hold | HangUp
_STEPS: dict[str, type[Step]] = {
    "say": Say,
    "interrupt": Interrupt,
    "backchannel": Backchannel,
    "digits": Digits,
    "pause": Pause,
    "listen": Listen,
    "hold": Hold,
    "hang_up": HangUp,
}


class Booking(_Part):
    """An appointment that must exist after the call."""

    name: str
    day: str
    """A name from `days`."""
    time: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")


class Expect(_Part):
    """What must be true afterwards."""

    heard: tuple[str, ...] = ()
    """Words that the agent must have said, as a recogniser hears them."""
    booking: Booking | None = None
    no_booking: bool = False
    """The calendar must hold nothing for this caller."""
    ended_by: Literal["agent", "caller"] | None = None


class Scenario(_Part):
    """A whole call, from the caller's side."""

    title: str
    days: dict[str, Annotated[int, Field(ge=1, le=4)]] = {}
    """Working days from today; four at most, so that a weekday's name means one day."""
    voice: Voice = Voice()
    noise: Noise | None = None
    echo: Echo | None = None
    patience: Annotated[float, Field(ge=0.2, le=5)] = 0.9
    """Seconds of silence after which the agent is taken to have finished."""
    give_up: Annotated[float, Field(ge=1, le=120)] = 15.0
    """Seconds without a word from the agent after which the caller hangs up, disappointed."""
    steps: tuple[Step, ...]
    expect: Expect = Expect()


@dataclass(frozen=True, slots=True)
class Appointment:
    """`Booking` on the calendar of a given day."""

    name: str
    day: date
    time: str


def parse(text: str, where: str) -> Scenario:
    """The scenario in a TOML text; `where` names it in errors. Raises ScenarioError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{where}: not TOML: {error}") from None
    steps = table.pop("step", [])
    if not isinstance(steps, list):
        raise ScenarioError(f"{where}: step: write each step as a [[step]] table")
    table["steps"] = [_step(entry, f"{where}: step {n}") for n, entry in enumerate(steps, 1)]
    if not steps:
        raise ScenarioError(f"{where}: no [[step]]: a caller has to do something")
    scenario = _validated(Scenario, table, where)
    _check_days(scenario, where)
    return scenario


def _step(entry: Any, where: str) -> Step:
    verbs = [verb for verb in _STEPS if isinstance(entry, dict) and verb in entry]
    if len(verbs) != 1:
        raise ScenarioError(f"{where}: needs exactly one of {', '.join(_STEPS)}; has {', '.join(verbs) or 'none'}")
    return _validated(_STEPS[verbs[0]], entry, where)


def _validated(model: type[_Model], value: object, where: str) -> _Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        problem = "no such key" if first["type"] == "extra_forbidden" else f"{first['msg']} (found {first['input']!r})"
        raise ScenarioError(f"{where}: {place}: {problem}") from None


def _check_days(scenario: Scenario, where: str) -> None:
    known = ", ".join(scenario.days) or "none"
    for text in (*(spoken(step) or "" for step in scenario.steps), *scenario.expect.heard):
        for name in _PLACEHOLDER.findall(text):
            if name not in scenario.days:
                raise ScenarioError(f"{where}: {{{name}}} in {text!r} is no entry of [days] (there: {known})")
    booking = scenario.expect.booking
    if booking and booking.day not in scenario.days:
        raise ScenarioError(f"{where}: expect.booking.day: {booking.day!r} is no entry of [days] (there: {known})")


def spoken(step: Step) -> str | None:
    """The words of a step, None where it has none."""
    match step:
        case Say():
            return step.say
        case Interrupt():
            return step.interrupt
        case Backchannel():
            return step.backchannel
    return None


def working_day(today: date, ahead: int) -> date:
    """The `ahead`-th day after today that is no Saturday or Sunday."""
    day = today
    while ahead:
        day += timedelta(days=1)
        ahead -= day.weekday() < 5
    return day


def filled(text: str, scenario: Scenario, today: date) -> str:
    """`text` with the names of days in place: "on {day}" → "on Tuesday"."""
    return _PLACEHOLDER.sub(lambda m: f"{working_day(today, scenario.days[m[1]]):%A}", text)


def expected_appointment(scenario: Scenario, today: date) -> Appointment | None:
    """What the calendar must hold after a call made today."""
    booking = scenario.expect.booking
    if booking is None:
        return None
    return Appointment(booking.name, working_day(today, scenario.days[booking.day]), booking.time)
