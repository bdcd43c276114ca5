"""What a simulated caller wants, and what must be true when the call is over. PURE."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from enum import StrEnum

from llm_worker.forge.practice import Person, Practice, Split
from llm_worker.forge.world import Setup


class Kind(StrEnum):
    """Kinds of wishes."""

    BOOK = "book"
    MOVE = "move"
    CANCEL = "cancel"
    MESSAGE = "message"
    PERSON = "person"
    QUESTION = "question"
    UNKNOWN = "unknown"
    LOOKUP = "lookup"
    WRONG = "wrongnumber"
    EMERGENCY = "emergency"
    ADVICE = "advice"
    PRIVACY = "privacy"
    SCOPE = "scope"


ON_THE_BOOK = frozenset({Kind.BOOK, Kind.MOVE, Kind.CANCEL})


@dataclass(frozen=True, slots=True)
class Option:
    """A time that will do: any start of that day from `first` to `last`, which are the same for a wish for one time."""

    day: date
    first: time
    last: time

    @property
    def exact(self) -> bool:
        """Whether it is one time."""
        return self.first == self.last

    def fits(self, day: date, at: time) -> bool:
        """Whether an appointment then is what is wished for."""
        return day == self.day and self.first <= at <= self.last


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing that the caller calls for."""

    kind: Kind
    who: Person
    options: tuple[Option, ...] = ()
    """Tried in this order; all but the last cannot be had."""
    old: Option | None = None
    """The appointment that is to be moved or cancelled."""
    service: str = ""
    text: str = ""
    number: str = ""
    """To be called back on; empty: the number of the call."""
    topic: str = ""
    """Of a question: hours, price, …"""
    change: Option | None = None
    """What the caller wants instead once the first wish is read back."""
    drop: bool = False
    """The caller gives up when it is read back."""
    soonest: bool = False
    absent: bool = False
    """There is no such appointment: the caller is mistaken."""
    target: str = ""

    @property
    def goal(self) -> Option | None:
        """The time that the caller leaves with."""
        return self.change or (self.options[-1] if self.options else None)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An appointment, by name, day (YYYY-MM-DD) and the earliest and latest start (HH:MM)."""

    name: str
    day: str
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class WantedNote:
    """A message: from whom, back on which number (empty: that of the call), and a pattern of its text."""

    name: str
    number: str
    about: str


@dataclass(frozen=True, slots=True)
class Expect:
    """What must be true when the call is over; patterns are of Python's `re`, looked for in each answer."""

    adds: tuple[Wanted, ...] = ()
    removes: tuple[Wanted, ...] = ()
    messages: tuple[WantedNote, ...] = ()
    transfer: str = ""
    """To whom the call must have been handed; *: to anybody; empty: to nobody."""
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole call, before anybody has spoken."""

    id: str
    split: Split
    flow: str
    """Kinds of wishes and what makes them difficult; train and held have none in common."""
    practice: Practice
    setup: Setup
    wishes: tuple[Wish, ...]
    expect: Expect
    asides: Mapping[int, str] = field(default_factory=dict)
    """By number of the caller's turn: what is said there before the answer."""
    hesitation: float = 0.0
    """Probability of an "um" in a turn."""
