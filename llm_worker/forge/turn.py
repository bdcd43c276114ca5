"""One thing that a caller says: its words, and what they say to a careful listener after the telephone. PURE."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from difflib import SequenceMatcher
from typing import Any

from llm_worker.backends.frontdesk import hear, intents, when
from llm_worker.backends.frontdesk.words import NOT_NAMES
from llm_worker.forge.grammar import Piece, text

UNSPOKEN = "(silence)"
"""Stands before words that the caller says after having been silent: the agent has asked whether anybody is there."""
STILL_THERE = 'You said to the caller: "Are you still there?"'
"""What the agent then tells the model."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What arrives. `values` are what the words say, which after noise need not be what was meant."""

    text: str
    acts: tuple[str, ...] = ()
    """What the caller does, as the lists of phrases name it: open.book, say.day, …"""
    values: Mapping[str, Any] = field(default_factory=dict)
    """By slot: day, oldday: date; time, oldtime: time; name, text, number, service: str; part: (first, last) times."""
    lost: frozenset[str] = frozenset()
    """Slots that were said and cannot be understood."""
    silent: bool = False
    """The caller was silent before."""


def turn(
    acts: Sequence[str],
    pieces: Sequence[Piece],
    meant: Mapping[str, Any],
    today: date,
    changed: frozenset[int] = frozenset(),
) -> Turn:
    """The turn of these pieces. Those whose number is in `changed` are read again, as a careful listener would."""
    values: dict[str, Any] = {}
    lost = set()
    for number, piece in enumerate(pieces):
        if not piece.slot:
            continue
        value = _read(piece, today) if number in changed or piece.slot in _ALWAYS else meant.get(piece.slot, piece.text)
        if value in (None, ""):
            lost.add(piece.slot)
        else:
            values[piece.slot] = value
    _join_names(values)
    return Turn(text(pieces), tuple(acts), values, frozenset(lost))


MOST_NAMES = 4
"""Words of a name."""
_NAMES_TOO = frozenset({"may", "june", "april", "august", "will", "mark", "son", "march", "price"})
LIKE = 0.6
"""Share of letters in common with what was said, from which on a sentence can still be understood."""
_YES = frozenset({"say.yes", "say.offer.yes", "say.samenumber"})
_NO = frozenset({"say.no", "say.offer.no"})


def understandable(act: str, said: str, heard: str) -> bool:
    """Whether a listener who hears this can know what was meant. A yes that does not sound like one is none."""
    verdict = intents.verdict(hear.plain(hear.words(heard)))
    if act in _YES:
        return verdict is True
    if act in _NO:
        return verdict is False
    return SequenceMatcher(None, said.lower(), heard.lower(), autojunk=False).ratio() >= LIKE


_ALWAYS = frozenset({"name", "first", "last", "spelled", "spelledlast"})


def _join_names(values: dict[str, Any]) -> None:
    """One name of what was said of it: letters count more than words."""
    if spelt := values.pop("spelled", None):
        values["name"] = spelt
        values["spelt"] = True
    first, last = values.pop("first", ""), values.pop("last", "")
    letters = values.pop("spelledlast", "")
    if letters:
        values["spelt"] = True
        known = str(values.get("name", first)).split()
        values["name"] = " ".join([*known[:1], letters]) if known else ""
        values["family"] = letters
    elif first and last:
        values["name"] = f"{first} {last}"


def _read(piece: Piece, today: date) -> Any:
    """The value of a slot from its words; None where they say nothing."""
    plain = hear.plain(hear.words(piece.text))
    match piece.slot:
        case "day" | "oldday":
            return when.find(plain, today).day
        case "time" | "oldtime":
            return when.find(plain, today, time_asked=True).at
        case "number":
            digits = hear.digits(hear.words(piece.text))
            return digits if len(digits) >= 5 else None
        case "part":
            return _part(plain)
        case "spelled" | "spelledlast":
            return letters(piece.text)
        case "name" | "first" | "last":
            return _name(piece.text)
        case _:
            return piece.text


def _name(text: str) -> str:
    """The words as a name; empty where one of them cannot be part of any."""
    words = [word.strip(" ,.?!") for word in text.split()]
    words = [word for word in words if word]
    if len(words) > MOST_NAMES or any(word.lower() in NOT_NAMES and word.lower() not in _NAMES_TOO for word in words):
        return ""
    return " ".join(word[:1].upper() + word[1:] for word in words)


def _part(plain: str) -> tuple[time, time] | None:
    if re.search(r"\bmorning\b|\bbefore noon\b", plain):
        return time(0), time(11, 59)
    return (time(12), time(23, 59)) if re.search(r"\bafternoon\b|\bafter lunch\b", plain) else None


def letters(spelt: str) -> str:
    """ "S A T O, A-N-N" and "S, A, T, O, then A, N, N" are "Sato Ann". Words between the letters do not count."""
    marked = re.sub(r"\b(?:then|and|last name|family name)\b", ";", spelt)
    names = re.split(r"[;,]", marked) if re.search(r"\b[A-Za-z][ .-]+[A-Za-z]\b", marked) else marked.split(";")
    joined = [
        "".join(word for word in re.findall(r"[A-Za-z]+", name) if len(word) == 1 or word.isupper()) for name in names
    ]
    return " ".join(name.capitalize() for name in joined if name)
