"""One agent, as its file describes it: what it says, hears, may do and records. Where it comes from: directory.py."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, tzinfo
from itertools import pairwise
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jsonschema import Draft202012Validator, SchemaError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

BUILT_IN = (
    "find_slots",
    "book_appointment",
    "move_appointment",
    "cancel_appointment",
    "take_message",
    "transfer_call",
    "end_call",
    "collect_digits",
)
"""Tools that need no webhook."""
CALENDAR_TOOLS = frozenset(BUILT_IN[:4])
"""Those that need opening times."""

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def _span(text: object) -> object:
    if not isinstance(text, str) or not (match := re.fullmatch(r"(\d\d):(\d\d)-(\d\d):(\d\d)", text)):
        raise ValueError('write opening times as "09:00-12:30"')
    first, last = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
    if first >= last:
        raise ValueError("the opening time must be before the closing time")
    return (first, last)


def _in_order(spans: tuple[tuple[time, time], ...]) -> tuple[tuple[time, time], ...]:
    if any(later[0] < earlier[1] for earlier, later in pairwise(spans)):
        raise ValueError("opening times overlap or are out of order")
    return spans


def _new_name(name: str) -> str:
    if name in BUILT_IN:
        raise ValueError("a built-in tool has this name; list it under tools, or take another name")
    return name


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key if name else name
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a directory of zones
        raise ValueError("no such time zone; write it as Europe/London") from None


def _web_address(url: str) -> str:
    parts = urlsplit(url)
    # Reading the port checks its range.
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0 or re.search(r"\s", url):
        raise ValueError("must be an http:// or https:// address")
    return url


def _number(pattern: str) -> str:
    if not re.fullmatch(r"[^\s*]+\*?|\*", pattern.replace(" ", "")):
        raise ValueError('a number or SIP user; a last * stands for any ending, and "*" alone for every number')
    return pattern


def _schema(parameters: dict[str, Any]) -> dict[str, Any]:
    try:
        Draft202012Validator.check_schema(parameters)
    except SchemaError as error:
        raise ValueError(f"not a JSON Schema: {error.message}") from None
    if parameters.get("type") != "object":
        raise ValueError('a JSON Schema with type = "object"')
    return parameters


Span = Annotated[tuple[time, time], BeforeValidator(_span)]
Spans = Annotated[tuple[Span, ...], AfterValidator(_in_order)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Variable = Annotated[str, Field(pattern=r"^([A-Z][A-Z0-9_]*)?$")]
"""Name of an environment variable that holds a secret; empty: none."""


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_default=True, use_attribute_docstrings=True
    )


class Limits(_Part):
    """How long things may take."""

    call_seconds: float = Field(default=1800, ge=10, le=86_400)
    """A call longer than this is ended politely."""
    silence_seconds: float = Field(default=8, ge=2, le=120)
    """Without a word from anybody, before the agent asks whether the caller is still there."""
    silence_prompts: int = Field(default=2, ge=0, le=10)
    """How often it asks before it says goodbye."""
    answer_characters: int = Field(default=1200, ge=50, le=20_000)
    """An answer is cut at the end of the sentence that passes this."""


class Phrases(_Part):
    """What the agent says without asking its language model."""

    silence: str = "Are you still there?"
    goodbye: str = "I'll hang up now. Goodbye."
    time_over: str = "I'm afraid our time is up. Goodbye."
    apology: str = "I'm sorry, one moment please."
    """When a worker is lost in the middle of a turn."""
    failure: str = "I'm sorry, something is not working here. Please call again a little later."
    """When the call cannot go on."""


class Recording(_Part):
    """Whether and how calls are recorded."""

    enabled: bool = False
    consent: Literal["none", "announce", "ask"] = "announce"
    """none: record from the start in silence; announce: say `announcement` first; ask: record only after a yes."""
    announcement: str = "This call is recorded."
    """Said before the greeting (announce), or the question (ask)."""
    opt_out_digit: str = Field(default="", pattern=r"^[0-9*#]?$")
    """The caller presses it: the recording is deleted. Empty: none."""
    opt_out_phrases: tuple[str, ...] = ()
    """The caller says it: the recording is deleted."""
    retention_days: int = Field(default=30, ge=1, le=3650)
    """Calls and recordings are deleted after this."""


class CalendarSettings(_Part):
    """When appointments can be had."""

    name: str = Field(default="", pattern=r"^[a-z0-9_-]{0,64}$")
    """Agents with the same name share one calendar. Empty: the agent's name."""
    timezone: Annotated[str, AfterValidator(_zone)] = ""
    """As Europe/London. Empty: the machine's."""
    slot_minutes: int = Field(default=30, ge=5, le=480)
    open: Mapping[Weekday, Spans] = Field(default_factory=dict)
    """Opening times by day: monday = ["09:00-12:30", "13:30-17:00"]. A day that is missing is closed."""
    closed_days: tuple[date, ...] = ()
    horizon_days: int = Field(default=180, ge=1, le=3650)
    """How far ahead appointments can be had."""

    @property
    def zone(self) -> tzinfo:
        """The time zone."""
        here = datetime.now(UTC).astimezone().tzinfo
        return ZoneInfo(self.timezone) if self.timezone else here or UTC


class Webhook(_Part):
    """A tool behind an HTTP address."""

    name: Annotated[str, AfterValidator(_new_name)] = Field(pattern=r"^[a-zA-Z0-9_]{1,64}$")
    description: str = Field(min_length=1)
    parameters: Annotated[dict[str, Any], AfterValidator(_schema)] = Field(default_factory=lambda: {"type": "object"})
    """JSON Schema (2020-12) of the arguments."""
    url: WebAddress
    timeout_seconds: float = Field(default=8, gt=0, le=60)
    effect: Literal["read", "write"] = "write"
    waiting_phrase: str = ""
    """Said when the answer takes long."""
    secret_header: str = Field(default="Authorization", pattern=r"^[A-Za-z0-9-]{1,64}$")
    secret_variable: Variable = ""
    """Environment variable with the value of `secret_header`."""


class EndWebhook(_Part):
    """Where the record of an ended call is posted."""

    url: WebAddress
    timeout_seconds: float = Field(default=10, gt=0, le=60)
    attempts: int = Field(default=5, ge=1, le=10)
    secret_variable: Variable = ""
    """Environment variable with the key of the signature (HMAC-SHA256)."""


class Expectation(_Part):
    """What kind of answer to expect after the agent has said something: callers pause longer inside numbers."""

    after: str = Field(min_length=1)
    """Regular expression, looked for in the agent's last sentence, ignoring case."""
    answer: Literal["name", "number", "date", "yes_no", "open"]

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        try:
            re.compile(self.after)
        except re.error as error:
            raise ValueError(f"after: not a regular expression: {error}") from None
        return self


class AgentDefinition(_Part):
    """One agent. The file's keys are these fields."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")
    """For records, metrics and the API: small letters, digits, - and _."""
    title: str = ""
    """For people."""
    numbers: tuple[Annotated[str, AfterValidator(_number)], ...] = ()
    """Numbers (DIDs) or SIP users that it answers."""
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
    voice: str = ""
    """Empty: the speech worker's default."""
    model: str = ""
    """Empty: the language worker's default."""
    prompt: str = Field(min_length=1)
    greeting: str = ""
    """Empty: the agent waits for the caller."""
    hints: tuple[str, ...] = ()
    """Names and words that callers are likely to say."""
    expecting: tuple[Expectation, ...] = ()
    tools: tuple[str, ...] = ()
    """Built-in tools it may use. Webhooks are [[tool]] tables."""
    tool: tuple[Webhook, ...] = ()
    tool_seconds: float = Field(default=5, gt=0, le=60)
    """Longest time of a built-in tool."""
    waiting_phrase: str = "One moment, please."
    """Said when a built-in tool takes long."""
    limits: Limits = Limits()
    phrases: Phrases = Phrases()
    recording: Recording = Recording()
    calendar: CalendarSettings = CalendarSettings()
    transfer: Mapping[str, str] = Field(default_factory=dict)
    """Who callers can be handed to: name = number or SIP address."""
    ended: EndWebhook | None = None
    """Off unless given."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if unknown := [name for name in self.tools if name not in BUILT_IN]:
            raise ValueError(f"tools: no built-in tool {', '.join(unknown)}. Valid: {', '.join(BUILT_IN)}")
        names = [*self.tools, *(webhook.name for webhook in self.tool)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"tools: {', '.join(twice)} is given more than once")
        if (needing := sorted(CALENDAR_TOOLS.intersection(self.tools))) and not self.calendar.open:
            raise ValueError(f"calendar.open: missing; {', '.join(needing)} needs opening times")
        if "transfer_call" in self.tools and not self.transfer:
            raise ValueError("transfer: missing; transfer_call needs a [transfer] table of names and numbers")
        return self

    @property
    def calendar_name(self) -> str:
        """The calendar's file name without ending."""
        return self.calendar.name or self.name

    @property
    def secret_variables(self) -> tuple[str, ...]:
        """The environment variables that it names."""
        named = [webhook.secret_variable for webhook in self.tool]
        named += [self.ended.secret_variable] if self.ended else []
        return tuple(dict.fromkeys(name for name in named if name))

    def expected_answer(self, sentence: str) -> str | None:
        """The kind of answer that `sentence` of the agent asks for: the first expectation that matches."""
        for expectation in self.expecting:
            if re.search(expectation.after, sentence, re.IGNORECASE):
                return expectation.answer
        return None
