"""The words of callers: one phrase of an act, from the templates of a split. PURE."""

import random
from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta
from functools import cache

from llm_worker.forge import speech
from llm_worker.forge.grammar import Piece, expand, load, sentence, slots
from llm_worker.forge.hours import WEEKDAYS
from llm_worker.forge.practice import Person, Practice, Split, invented, person

_MORE = ("opening", "answering", "asides")
"""Further lists, of training only."""


@cache
def acts() -> tuple[str, ...]:
    """Every act that callers have words for."""
    return tuple(f"{group}.{act}" if act else group for group, act, _ in _entries("caller"))


@cache
def templates(act: str, split: Split) -> tuple[str, ...]:
    """The phrases of an act. Raises KeyError for one that there is not."""
    found = _of(act, "caller")[split]
    for name in _MORE if split == "train" else ():
        found = [*found, *_of(act, name).get("train", [])]
    return tuple(found)


def _of(act: str, file: str) -> Mapping[str, list[str]]:
    for group, name, entry in _entries(file):
        if act == (f"{group}.{name}" if name else group):
            return entry
    if file in _MORE:
        return {}
    raise KeyError(act)


def _entries(file: str) -> Iterator[tuple[str, str, Mapping[str, list[str]]]]:
    for group, body in load(file).items():
        if "train" in body:
            yield group, "", body
            continue
        for name, entry in body.items():
            if "train" in entry:
                yield group, name, entry
            else:
                yield from ((group, f"{name}.{inner}", each) for inner, each in entry.items())


def phrase(act: str, split: Split, draw: random.Random, values: Mapping[str, str]) -> list[Piece]:
    """One phrase whose slots all have values. Raises LookupError where there is none."""
    fitting = [template for template in templates(act, split) if slots(template) <= values.keys()]
    if not fitting:
        raise LookupError(
            f"{act}: no phrase of {split} does without more than {', '.join(sorted(values)) or 'nothing'}"
        )
    return expand(draw.choice(fitting), draw, values)


def long_text(split: Split, draw: random.Random) -> str:
    """Something to be passed on."""
    said = sentence(draw.choice(load("texts")[split]), draw, {})
    return said if said.startswith("I") else said[0].lower() + said[1:]


def name_values(who: Person, draw: random.Random) -> dict[str, str]:
    """The slots that a name fills."""
    return {
        "name": who.name,
        "first": who.given,
        "last": who.family,
        "spelled": speech.spelled(draw, who.given, who.family),
        "spelledlast": speech.spelled(draw, who.family),
    }


def fact_values(practice: Practice, split: Split, draw: random.Random) -> dict[str, str]:
    """Slots about the practice and other people."""
    values = {
        "service": draw.choice(list(practice.prices)),
        "people": f"the {practice.people}",
        "person": draw.choice(practice.staff),
        "othername": person(draw, split).name,
        "weekday": draw.choice(WEEKDAYS).capitalize(),
    }
    if practice.targets:
        values["target"] = draw.choice(
            [f"the {practice.targets[0]}", "the manager", "a colleague", practice.targets[0]]
        )
    return values


def sample(draw: random.Random, split: Split, act: str = "", who: Person | None = None) -> list[Piece]:
    """Any phrase of a split with any values: what the recogniser is tried on."""
    today = date(2026, 1, 5) + timedelta(days=draw.randrange(700))
    now, wanted, old = today, today + timedelta(days=draw.randint(0, 20)), today + timedelta(days=draw.randint(0, 20))
    at, before = (time(draw.randint(8, 18), draw.choice([0, 0, 15, 20, 30, 30, 40, 45])) for _ in range(2))
    where = invented(draw, split)
    values = name_values(who or person(draw, split), draw) | fact_values(where, split, draw)
    values |= {
        "target": "the office",
        "day": speech.spoken_day(wanted, now, draw),
        "time": speech.spoken_time(at, draw),
        "oldday": speech.spoken_day(old, now, draw),
        "oldtime": speech.spoken_time(before, draw),
        "part": speech.part_of_day(time(13), time(17), draw) if draw.random() < 0.5 else "in the morning",
        "number": speech.number_aloud("".join(draw.choice("0123456789") for _ in range(draw.choice([7, 10]))), draw),
        "text": long_text(split, draw),
    }
    return phrase(act or draw.choice(acts()), split, draw, values)
