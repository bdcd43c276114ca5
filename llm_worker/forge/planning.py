"""Draws what callers want: wishes, difficulties, and a calendar in which exactly that can be had."""

import random
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta

from llm_worker.forge import speech
from llm_worker.forge.expecting import expected
from llm_worker.forge.phrases import long_text
from llm_worker.forge.plan import Kind, Option, Plan, Wish
from llm_worker.forge.practice import Person, Practice, Split, person, practice
from llm_worker.forge.world import Setup, tools

_KINDS = {
    Kind.BOOK: 40, Kind.MOVE: 14, Kind.CANCEL: 10, Kind.MESSAGE: 9, Kind.PERSON: 4, Kind.QUESTION: 12, Kind.UNKNOWN: 4,
    Kind.LOOKUP: 1, Kind.WRONG: 2, Kind.EMERGENCY: 1, Kind.ADVICE: 1, Kind.PRIVACY: 1, Kind.SCOPE: 2,
}  # fmt: skip
_TWISTS = ("taken", "closed", "full", "offgrid", "part", "soonest", "change_day", "change_time", "drop")
"""What makes a booking difficult."""
_OLD_TWISTS = ("double", "absent")
"""What makes an appointment difficult to find: the caller has two, or none."""
_ASIDES = ("robot", "repeat", "wait", "silence", "angry", "smalltalk", "hearme", "question", "garbled", "cut")
_HELD_ONE_IN = 4
_TOPICS = ("hours", "address", "way", "price", "staff", "payment", "fee", "bring")
GROUP = 8
"""Training calls in a row that take place at the same practice at the same moment, so that a trainer can compute what
they begin with, four fifths of their tokens, once."""
_DAYS = 19
"""How far ahead wishes go; within the days that the model is told the dates of."""


def flow_split(flow: str) -> Split:
    """Where a flow belongs. Plain ones of a single wish are for training; of the others one in four is held out."""
    if "+" not in flow:
        return "train"
    return "held" if zlib.crc32(flow.encode()) % _HELD_ONE_IN == 0 else "train"


def plan(seed: int, split: Split) -> Plan:
    """The call of this number. The same numbers give the same calls; those of two splits differ in everything."""
    draw = random.Random(f"{split} {seed}")
    while True:
        kinds, twist, asides = _shape(draw)
        flow = "+".join([*kinds, *([twist] if twist else []), *sorted(asides.values())])
        if flow_split(flow) != split:
            continue
        drawn = _Draw(draw, split, *_scene(seed, split))
        made = drawn.plan(kinds, twist, asides)
        if made is not None:
            return replace(made, id=f"{split}-{seed}", flow=flow)


def _scene(seed: int, split: Split) -> tuple[Practice, datetime]:
    """Where and when a call takes place."""
    draw = random.Random(f"scene {split} {seed // GROUP if split == 'train' else seed}")
    return practice(draw, split), _moment(draw)


def _shape(draw: random.Random) -> tuple[list[Kind], str, dict[int, str]]:
    count = draw.choices([1, 2, 3], [70, 25, 5])[0]
    kinds = draw.choices(list(_KINDS), list(_KINDS.values()), k=count)
    if count > 1:
        kinds = [kind for kind in kinds if kind not in (Kind.WRONG, Kind.EMERGENCY, Kind.PERSON)] or [Kind.BOOK]
    twist = ""
    if any(kind in (Kind.BOOK, Kind.MOVE) for kind in kinds) and draw.random() < 0.6:
        twist = draw.choice(_TWISTS)
    if any(kind in (Kind.MOVE, Kind.CANCEL) for kind in kinds) and draw.random() < 0.25:
        twist = draw.choice(_OLD_TWISTS)
    count = draw.choices([0, 1, 2], [55, 33, 12])[0]
    turns = draw.sample(range(2, 7), count)
    return kinds, twist, dict(zip(turns, draw.sample(_ASIDES, count), strict=True))


def _suits(twist: str, kind: Kind) -> bool:
    return kind in ((Kind.MOVE, Kind.CANCEL) if twist in _OLD_TWISTS else (Kind.BOOK, Kind.MOVE))


class _Draw:
    """One attempt at a call: the calendar fills while wishes are drawn."""

    def __init__(self, draw: random.Random, split: Split, where: Practice, now: datetime) -> None:
        self._draw = draw
        self._split = split
        self._practice = where
        self._now = now
        self._booked: dict[tuple[date, time], str] = {}
        self._reserved: set[tuple[date, time]] = set()
        """Slots that the wishes of this call need free."""
        self._fill()

    def plan(self, kinds: Sequence[Kind], twist: str, asides: dict[int, str]) -> Plan | None:
        """The call, or None where this calendar has no room for it."""
        who = person(self._draw, self._split)
        wishes = []
        for number, kind in enumerate(kinds):
            own = twist if _suits(twist, kind) else ""
            wish = self._wish(kind, who, own, number)
            if wish is None:
                return None
            twist = "" if own else twist
            wishes.append(wish)
        caller = "".join(self._draw.choice("0123456789") for _ in range(10)) if self._draw.random() < 0.8 else ""
        booked = tuple((name, day.isoformat(), f"{at:%H:%M}") for (day, at), name in sorted(self._booked.items()))
        where = self._practice
        setup = Setup(where.hours, self._now, tools(where.tools, where.targets), booked, caller)
        hesitation = self._draw.choice([0.0, 0.0, 0.1, 0.3])
        expect = expected(wishes, where)
        return Plan("", self._split, "", where, setup, tuple(wishes), expect, asides, hesitation)

    def _fill(self) -> None:
        share = self._draw.choice([0.0, 0.2, 0.4, 0.6])
        given, family = (["Ann", "Bert", "Cleo", "Dov", "Edda"], ["Fay", "Gil", "Hay", "Iwu", "Jay"])
        for ahead in range(_DAYS + 7):
            day = self._now.date() + timedelta(days=ahead)
            for at in self._practice.hours.still_ahead(day, self._now):
                if self._draw.random() < share:
                    self._booked[day, at] = f"{self._draw.choice(given)} {self._draw.choice(family)}"

    def _wish(self, kind: Kind, who: Person, twist: str, number: int) -> Wish | None:
        draw, where = self._draw, self._practice
        match kind:
            case Kind.BOOK | Kind.MOVE | Kind.CANCEL:
                return self._on_the_book(kind, who, twist, number)
            case Kind.MESSAGE | Kind.UNKNOWN:
                digits = "".join(draw.choice("0123456789") for _ in range(draw.choice([7, 7, 10])))
                number_ = digits if draw.random() < 0.5 else ""
                return Wish(kind, who, text=long_text(self._split, draw), number=number_)
            case Kind.QUESTION:
                known = [
                    topic
                    for topic in _TOPICS
                    if topic not in ("way", "payment", "fee", "bring") or getattr(where, topic)
                ]
                return Wish(kind, who, topic=draw.choice(known), service=draw.choice(list(where.prices)))
            case Kind.PERSON:
                return Wish(kind, who, target=draw.choice(where.targets) if where.targets else "")
            case Kind.EMERGENCY | Kind.ADVICE if not where.medical:
                return None
            case _:
                return Wish(kind, who)

    def _on_the_book(self, kind: Kind, who: Person, twist: str, number: int) -> Wish | None:
        if number:  # the second appointment of a call is for somebody else
            who = person(self._draw, self._split)
        old = None
        if kind is not Kind.BOOK:
            day = self._open_day()
            slot = self._slot(day) if day else None
            if day is None or slot is None:
                return None
            old = Option(day, slot, slot)
            if twist != "absent":
                self._booked[day, slot] = who.name
            if twist == "double" and not self._book_another(who, day):
                return None
        if kind is Kind.CANCEL:
            return Wish(kind, who, old=old, absent=twist == "absent")
        same_day = old is not None and twist == "part" and self._draw.random() < 0.5
        options = self._part(old.day) if old is not None and same_day else self._options(twist)
        if options is None:
            return None
        service = (
            self._draw.choice(list(self._practice.prices)) if self._draw.random() < 0.3 and kind is Kind.BOOK else ""
        )
        wish = Wish(kind, who, options, old, service, drop=twist == "drop", soonest=twist == "soonest")
        wish = replace(wish, absent=twist == "absent")
        if twist in ("change_day", "change_time"):
            other = self._other(options[-1], same_day=twist == "change_time")
            return replace(wish, change=other) if other else None
        return wish

    def _book_another(self, who: Person, apart: date) -> bool:
        """A second appointment of the same person on another day; False: there is no room."""
        days = [day for day in self._days() if day != apart]
        slot = self._slot(day := self._draw.choice(days)) if days else None
        if slot is not None:
            self._booked[day, slot] = who.name
        return slot is not None

    def _same_time(self, old: Option) -> tuple[Option, ...] | None:
        """Another day at the time of the appointment that is to be moved."""
        days = [day for day in self._days() if day != old.day and old.first in self._free(day)]
        if not days:
            return None
        day = self._draw.choice(days[:6])
        self._reserved.add((day, old.first))
        return (Option(day, old.first, old.first),)

    def _options(self, twist: str) -> tuple[Option, ...] | None:
        day = self._soonest_day() if twist == "soonest" else self._open_day()
        at = self._slot(day, first=twist == "soonest") if day else None
        if day is None or at is None:
            return None
        goal = Option(day, at, at)
        match twist:
            case "taken":
                taken = self._slot(day, avoid=at)
                if taken is None:
                    return None
                self._booked[day, taken] = "Cleo Hay"
                self._reserved.discard((day, taken))
                return Option(day, taken, taken), goal
            case "closed" | "full":
                shut = self._shut_day() if twist == "closed" else self._full_day(day)
                return (Option(shut, at, at), goal) if shut else None
            case "offgrid":
                wrong = speech.later(at, self._draw.choice([5, 10]))
                if wrong in self._practice.hours.slots(day) or not self._practice.hours.is_open(day, wrong):
                    return None
                return Option(day, wrong, wrong), goal
            case "part":
                return self._part(day)
            case _:
                return (goal,)

    def _part(self, day: date) -> tuple[Option, ...] | None:
        """A morning or an afternoon with something free in it."""
        first, last = self._draw.choice([(time(0), time(11, 59)), (time(12), time(23, 59))])
        free = [at for at in self._free(day) if first <= at <= last]
        return (Option(day, first, last),) if free else None

    def _other(self, than: Option, same_day: bool) -> Option | None:
        day = than.day if same_day else self._open_day()
        at = self._slot(day, avoid=than.first) if day else None
        return (
            Option(day, at, at)
            if day and at and day.isoformat() + str(at) != than.day.isoformat() + str(than.first)
            else None
        )

    def _free(self, day: date) -> list[time]:
        ahead = self._practice.hours.still_ahead(day, self._now)
        return [at for at in ahead if (day, at) not in self._booked and (day, at) not in self._reserved]

    def _slot(self, day: date, avoid: time | None = None, first: bool = False) -> time | None:
        free = [at for at in self._free(day) if at != avoid]
        if not free:
            return None
        at = free[0] if first else self._draw.choice(free)
        self._reserved.add((day, at))
        return at

    def _days(self) -> list[date]:
        weights = [self._now.date() + timedelta(days=ahead) for ahead in range(_DAYS + 1)]
        return [day for day in weights if self._free(day)]

    def _open_day(self) -> date | None:
        days = self._days()
        # Most calls are about the coming days.
        return self._draw.choice([*days, *days[:6], *days[:6]]) if days else None

    def _soonest_day(self) -> date | None:
        days = self._days()
        return days[0] if days else None

    def _shut_day(self) -> date | None:
        ahead = [self._now.date() + timedelta(days=number) for number in range(1, 15)]
        shut = [day for day in ahead if not self._practice.hours.slots(day)]
        return self._draw.choice(shut) if shut else None

    def _full_day(self, apart: date) -> date | None:
        days = [day for day in self._days() if day != apart and not any(on == day for on, _ in self._reserved)]
        if not days:
            return None
        day = self._draw.choice(days)
        self._booked.update({(day, at): "Dov Iwu" for at in self._free(day)})
        return day


def _moment(draw: random.Random) -> datetime:
    day = date(2025, 1, 1) + timedelta(days=draw.randrange(4 * 365))
    return datetime.combine(day, time(draw.randint(7, 18), draw.randint(0, 59)))
