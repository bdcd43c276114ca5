"""What the front desk knows at one point of a call. Derived from the messages alone, so any worker can go on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from enum import StrEnum
from typing import Any


class Task(StrEnum):
    """What is being arranged."""

    NONE = ""
    BOOK = "book"
    MOVE = "move"
    CANCEL = "cancel"
    MESSAGE = "message"


class Asked(StrEnum):
    """What the last answer asked for."""

    NOTHING = ""
    NAME = "name"
    DAY = "day"
    TIME = "time"
    OLD_DAY = "old day"
    CONFIRM = "confirm"
    CHANGE = "change"
    MORE = "more"
    TEXT = "text"
    SAME_NUMBER = "same number"
    NUMBER = "number"
    OFFER_MESSAGE = "offer message"


@dataclass(frozen=True, slots=True)
class State:
    """`day` and `at` are those wished for (or of the appointment to cancel); `old_…` those of one to be moved."""

    task: Task = Task.NONE
    asked: Asked = Asked.NOTHING
    name: str = ""
    day: date | None = None
    at: time | None = None
    after: time | None = None
    old_day: date | None = None
    old_time: time | None = None
    reason: str = ""
    text: str = ""
    number: str = ""
    offered: tuple[time, ...] = ()
    """Free slots of `day` that were read out or came with them."""
    heard: bool = True
    """The caller can have heard the question of the last answer."""
    last: str = ""
    misses: int = 0
    """Utterances in a row that were not understood."""
    silences: int = 0
    booked_day: date | None = None
    booked_time: time | None = None
    """Of the appointment that was booked or moved in this call, which "it" can mean later."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What to say, then what to ask of the tools: name and arguments."""

    text: str = ""
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = field(default=())
