"""What must be true after a call in which these wishes were met. PURE."""

import re
from collections.abc import Sequence

from llm_worker.forge.plan import ON_THE_BOOK, Expect, Kind, Option, Wanted, WantedNote, Wish
from llm_worker.forge.practice import Person, Practice


def expected(wishes: Sequence[Wish], where: Practice) -> Expect:
    """The calendar, the messages and the facts that the caller leaves with."""
    adds: list[Wanted] = []
    removes: list[Wanted] = []
    notes, says, transfer = [], [], ""
    for wish in wishes:
        done = wish.kind in ON_THE_BOOK and not wish.drop and not wish.absent
        if done and wish.old:
            removes.append(_wanted(wish.who, wish.old))
        if done and wish.goal:
            adds.append(_wanted(wish.who, wish.goal))
        if wish.kind is Kind.MESSAGE:
            notes.append(WantedNote(wish.who.name, wish.number, _keywords(wish.text)))
        if wish.kind is Kind.PERSON:
            transfer = "*" if wish.target else ""
        says += _facts(wish, where)
    return Expect(tuple(adds), tuple(removes), tuple(notes), transfer, tuple(says))


def _wanted(who: Person, option: Option) -> Wanted:
    return Wanted(who.name, option.day.isoformat(), f"{option.first:%H:%M}", f"{option.last:%H:%M}")


def _keywords(text: str) -> str:
    """A pattern that a message with this text in it has: its longest word."""
    words: list[str] = re.findall(r"[a-z]+", text.lower())
    return "(?i)" + re.escape(max(words, key=len))


def _facts(wish: Wish, where: Practice) -> list[str]:
    """Patterns of which the answer to a question must have each."""
    if wish.kind is Kind.EMERGENCY:
        return [
            rf"\b{where.emergency}\b|" + " ".join({"9": "nine", "1": "one", "2": "two"}[d] for d in where.emergency)
        ]
    if wish.kind is not Kind.QUESTION:
        return []
    match wish.topic:
        case "price":
            return [rf"\b{where.prices[wish.service]}\b"]
        case "address":
            return ["(?i)" + re.escape(where.address.split(",")[0])]
        case "staff":
            return ["(?i)" + re.escape(name.split()[-1]) for name in where.staff]
        case "hours":
            ends = {f"{at.hour % 12 or 12}" for spans in where.hours.open.values() for span in spans for at in span}
            return [rf"(?i)\bclosed\b|\b(noon|{'|'.join(sorted(ends))})\b"]
        case topic:
            found = set(re.findall(r"[a-z]{4,}", str(getattr(where, topic)).lower()))
            words = sorted(found, key=lambda word: (len(word), word))
            return [rf"(?i)\b{word}" for word in words[-2:]]
