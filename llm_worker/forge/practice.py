"""Practices that conversations take place in: invented ones, each with its facts and prompt, and the one that ships."""

import random
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import time
from functools import cache
from typing import Literal

from llm_worker.backends.frontdesk.say import choice, clock
from llm_worker.forge.coined import coined
from llm_worker.forge.grammar import load, sentence
from llm_worker.forge.hours import WEEKDAYS, Hours, Span

Split = Literal["train", "held"]
"""Phrases, names and flows of `held` never occur in training data."""
SHIPPED_SHARE = 0.15
"""Of conversations that take place at the practice that ships."""
COINED_SHARE = 0.5
"""Of names in training."""
_HELD_ONE_IN = 8
_TARGETS = (
    ("reception",), ("reception",), ("office",), ("reception", "billing"), ("manager",), ("nurse", "billing"),
)  # fmt: skip
_BOOK = ("find_slots", "book_appointment", "move_appointment", "cancel_appointment", "take_message")


@dataclass(frozen=True, slots=True)
class Practice:
    """Everything that is true of it. What callers cannot be told is empty."""

    name: str
    what: str
    people: str
    """doctors, vets, …"""
    medical: bool
    address: str
    hours: Hours
    hours_said: str
    staff: tuple[str, ...]
    prices: Mapping[str, int]
    currency: str
    emergency: str = ""
    way: str = ""
    payment: str = ""
    fee: str = ""
    bring: str = ""
    targets: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    prompt: str = ""
    greeting: str = ""

    def price(self, service: str) -> str:
        """ "60 dollars"."""
        return f"{self.prices[service]} {self.currency}"


@dataclass(frozen=True, slots=True)
class Person:
    """A caller or somebody spoken of."""

    given: str
    family: str

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.given} {self.family}"


@cache
def people(split: Split) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Given and family names of a split: one in eight is held out, by its spelling."""
    lists = load("names")
    held = split == "held"
    given, family = (
        tuple(name for name in str(lists[key]).split() if (zlib.crc32(name.encode()) % _HELD_ONE_IN == 0) is held)
        for key in ("given", "family")
    )
    return given, family


def person(draw: random.Random, split: Split) -> Person:
    """Somebody whose names are of the split. In training half of them are coined: lists are short enough to be learnt
    by heart, and callers are not on them."""
    drawn = ((_coined(draw) if split == "train" else "") or draw.choice(names) for names in people(split))
    return Person(*drawn)


def _coined(draw: random.Random) -> str:
    """A name that is in none of the lists, or nothing; both equally likely."""
    if draw.random() >= COINED_SHARE:
        return ""
    held = people("held")
    name = coined(draw)
    return "" if any(name in names for names in held) else name


def practice(draw: random.Random, split: Split) -> Practice:
    """The practice that ships, or a new one."""
    return shipped() if draw.random() < SHIPPED_SHARE else invented(draw, split)


@cache
def shipped() -> Practice:
    """Harbour Street, with the prompt of its agent's file."""
    facts = load("prompts")["shipped"]
    week = {day: ((time(8), time(17)),) for day in range(5)}
    return Practice(
        name=facts["name"],
        what=facts["what"],
        people="doctors",
        medical=True,
        address=facts["address"],
        hours=Hours(week, 30),
        hours_said=facts["hours"],
        staff=tuple(facts["staff"]),
        prices=facts["prices"],
        currency="dollars",
        emergency="911",
        way=facts["way"],
        tools=(*_BOOK, "collect_digits", "end_call"),
        prompt=facts["prompt"],
        greeting=facts["greeting"],
    )


def invented(draw: random.Random, split: Split) -> Practice:
    """A practice that exists nowhere."""
    lists = load("practices")
    kind = draw.choice(lists["kind"])
    place = draw.choice(str(lists["places"]["words"]).split())
    currency, emergency = draw.choice([("dollars", "911"), ("dollars", "911"), ("pounds", "999"), ("euros", "112")])
    street = draw.choice(str(lists["places"]["streets"]).strip().split("|"))
    road = draw.choice([word for word in str(lists["places"]["words"]).split() if word != place])
    address = f"{draw.randint(1, 240)} {road} {street}"
    if draw.random() < 0.5:
        address += f", {draw.choice(lists['places']['landmarks'])}"
    services = draw.sample(kind["services"], k=min(len(kind["services"]), draw.randint(3, 5)))
    hours = _hours(draw, draw.choice(kind["slots"]))
    members = [person(draw, split) for _ in range(draw.randint(1, 3))]
    title = f"{kind['title']} " if kind["title"] else ""
    extra = {
        key: draw.choice(lists["places"][source]).format(bus=draw.randint(1, 99), place=place, currency=currency)
        for key, source, share in (
            ("way", "ways", 0.7),
            ("payment", "payments", 0.4),
            ("fee", "fees", 0.3),
            ("bring", "bring", 0.3),
        )
        if draw.random() < share
    }
    targets = draw.choice(_TARGETS[: 6 if kind["medical"] else 5])
    bare = Practice(
        name=draw.choice(kind["names"]).format(place=place),
        what=kind["what"],
        people=kind["people"],
        medical=kind["medical"],
        address=address,
        hours=hours,
        hours_said=hours_aloud(hours.open),
        staff=tuple(f"{title}{member.name}" for member in members),
        prices={name: draw.randrange(least, most + 1, 5) for name, least, most in services},
        currency=currency,
        emergency=emergency if kind["medical"] else "",
        targets=targets if draw.random() < 0.6 else (),
        **extra,
    )
    return _furnished(bare, draw)


def _furnished(bare: Practice, draw: random.Random) -> Practice:
    """With tools, prompt and greeting."""
    digits = ("collect_digits",) if draw.random() < 0.4 else ()
    transfer = ("transfer_call",) if bare.targets else ()
    greeting = sentence(draw.choice(load("prompts")["greeting"]), draw, {"name": bare.name})
    tools = (*_BOOK, *transfer, *digits, "end_call")
    return replace(bare, tools=tools, prompt=_prompt(bare, draw), greeting=greeting)


def _prompt(practice: Practice, draw: random.Random) -> str:
    """Opening, facts in any order, rules."""
    texts = load("prompts")
    items = [f"{article(name)} {name} {price}" for name, price in practice.prices.items()]
    first, *others = practice.prices
    said = [
        f"{article(first)} {first} costs {practice.price(first)}",
        *(f"{article(s)} {s} {practice.price(s)}" for s in others),
    ]
    staff = choice(practice.staff, "and")
    values = {
        "name": practice.name,
        "what": practice.what,
        "address": practice.address,
        "hours": practice.hours_said,
        "people": practice.people,
        "People": practice.people.capitalize(),
        "staff": staff,
        "prices": f"{', '.join(items)}, in {practice.currency}",
        "prices_sentence": choice(said, "and"),
        "emergency": practice.emergency,
        "targets": choice(practice.targets, "or") if practice.targets else "",
    }
    keys = ["address", "hours", "staff", "prices"]
    keys += ["emergency"] if practice.emergency else []
    keys += ["transfer"] if practice.targets else []
    facts = [sentence(draw.choice(texts[key]), draw, values) for key in keys]
    facts += [fact for fact in (practice.way, practice.payment, practice.fee, practice.bring) if fact]
    draw.shuffle(facts)
    intro = sentence(draw.choice(texts["intro"]), draw, values)
    rules = draw.choice(texts["rules"])
    if practice.medical:
        rules = f"{rules} {draw.choice(texts['advice'])}"
    return f"{intro} {' '.join(facts)}\n\n{rules}"


def article(noun: str) -> str:
    """ "a" or "an"."""
    return "an" if noun[:1].lower() in "aeio" else "a"


def _hours(draw: random.Random, slot_minutes: int) -> Hours:
    opens, closes = (
        time(draw.choice([7, 8, 8, 8, 9, 9, 10]), draw.choice([0, 0, 0, 30])),
        time(draw.choice([16, 17, 17, 18, 18, 19])),
    )
    day: tuple[Span, ...] = ((opens, closes),)
    if draw.random() < 0.35:
        pause = draw.choice(
            [(time(12), time(13)), (time(12, 30), time(13, 30)), (time(12), time(14)), (time(13), time(14))]
        )
        day = ((opens, pause[0]), (pause[1], closes))
    week = dict.fromkeys(range(5), day)
    if draw.random() < 0.2:
        del week[0]
    if draw.random() < 0.35:
        week[4] = ((opens, time(draw.choice([12, 13, 14]))),)
    if draw.random() < 0.3:
        week[5] = ((time(9), time(draw.choice([12, 13]))),)
    return Hours(week, slot_minutes)


def hours_aloud(week: Mapping[int, tuple[Span, ...]]) -> str:
    """ "Monday to Thursday, 8 AM to 5 PM, and Friday, 8 AM to noon"."""
    runs: list[tuple[int, int, tuple[Span, ...]]] = []
    for day in sorted(week):
        if runs and runs[-1][1] == day - 1 and runs[-1][2] == week[day]:
            runs[-1] = (runs[-1][0], day, week[day])
        else:
            runs.append((day, day, week[day]))
    return choice([f"{_days(first, last)}, {spans_aloud(spans)}" for first, last, spans in runs], "and")


def spans_aloud(spans: tuple[Span, ...]) -> str:
    """ "8 AM to noon and 1 PM to 5 PM"."""
    return " and ".join(f"{_clock(opens)} to {_clock(closes)}" for opens, closes in spans)


def _days(first: int, last: int) -> str:
    begin, end = WEEKDAYS[first].capitalize(), WEEKDAYS[last].capitalize()
    if first == last:
        return begin
    return f"{begin} and {end}" if last == first + 1 else f"{begin} to {end}"


def _clock(at: time) -> str:
    return "noon" if at == time(12) else clock(at)
