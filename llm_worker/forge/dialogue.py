"""The dialogues written by hand, as their files have them."""

import tomllib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from llm_worker.forge.turn import UNSPOKEN

FILES = ("booking", "changes", "questions", "difficult")
Entry = tuple[str, str, str]
"""Name, day, time or "first-last"."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Facts(_Strict):
    """What must be right when it is read back; empty: anything goes."""

    name: str = ""
    day: str = ""
    time: str = ""
    number: str = ""


class Wish(_Strict):
    """One thing that the caller calls for. `until`: when the next one is said instead of an answer."""

    open: str
    facts: Facts = Facts()
    until: Literal["done", "confirm", "answer"] = "done"
    say: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    asides: Mapping[int, str] = Field(default_factory=dict)
    bye: str = ""


class Note(_Strict):
    """A message that must have been taken."""

    name: str
    number: str = ""
    about: str


class Dialogue(_Strict):
    """A call, as its file has it."""

    id: str
    practice: str
    now: datetime
    booked: tuple[Entry, ...] = ()
    adds: tuple[Entry, ...] = ()
    removes: tuple[Entry, ...] = ()
    messages: tuple[Note, ...] = ()
    transfer: str = ""
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    wish: tuple[Wish, ...]


class Desk(_Strict):
    """Where it takes place."""

    prompt: str
    greeting: str
    tools: tuple[str, ...]
    transfer: tuple[str, ...] = ()
    slot_minutes: int
    open: Mapping[str, tuple[str, ...]]


@cache
def dialogues() -> tuple[Dialogue, ...]:
    """All sixty."""
    found: list[Dialogue] = []
    for name in FILES:
        found += [Dialogue.model_validate(entry) for entry in _read(name)["dialogue"]]
    return tuple(found)


@cache
def desks() -> Mapping[str, Desk]:
    """By name."""
    return {name: Desk.model_validate(entry) for name, entry in _read("practices").items()}


def _read(name: str) -> dict[str, Any]:
    path = resources.files("llm_worker.forge.handwritten").joinpath(f"{name}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def lines(dialogue: Dialogue) -> list[str]:
    """Everything that its caller can say."""
    said = [line for wish in dialogue.wish for line in (wish.open, wish.bye, *wish.asides.values())]
    said += [line for wish in dialogue.wish for each in wish.say.values() for line in each]
    return list(dict.fromkeys(line.removeprefix(UNSPOKEN).strip() for line in said if line))
