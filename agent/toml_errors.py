"""Where a mistake in an agent file is, and what would be right there. PURE."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel

Place = Sequence[str | int]
"""Keys and indices from the top of the file, as pydantic gives them."""


def explain(model: type[BaseModel], text: str, problem: Mapping[str, Any]) -> str:
    """One line for one pydantic error: line of the file, key, what is wrong, what is valid."""
    place: Place = problem["loc"]
    message = str(problem["msg"]).removeprefix("Value error, ")
    parent = _model_at(model, place[:-1])
    if problem["type"] == "extra_forbidden" and parent:
        message = f"unknown key. Valid: {', '.join(parent.model_fields)}"
    elif problem["type"] == "missing":
        message = "missing"
    elif not isinstance(problem["input"], dict | list) and place:
        message = f"{problem['input']!r}: {message}"
    meaning = _meaning(parent, place) if problem["type"] != "extra_forbidden" else ""
    line = line_of(text, place)
    parts = [f"line {line}" if line else "", _dotted(place), message]
    return ": ".join(part for part in parts if part) + (f". {meaning}" if meaning else "")


def line_of(text: str, place: Place) -> int:
    """Number of the line that sets the key at `place`, or begins the innermost table around it; 0: not found."""
    names = [part for part in place if isinstance(part, str)]
    index = next((part for part in place if isinstance(part, int)), 0)
    table: list[str] = []
    nth: dict[str, int] = {}
    best = 0
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[\[?)\s*([\w.\- ]+?)\s*\]", line):
            table = [part.strip() for part in header[2].split(".")]
            if header[1] == "[[":
                nth[table[0]] = nth.get(table[0], -1) + 1
            here = nth.get(table[0], index) == index
            if here and table == names[: len(table)]:
                best = number
            continue
        key = re.match(r"\s*([\w-]+)\s*[=.]", line)
        inside = table == names[: len(table)] and nth.get(table[0] if table else "", index) == index
        if key and inside and names[len(table) :][:1] == [key[1]]:
            return number
    return best


def _dotted(place: Place) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _model_at(model: type[BaseModel], place: Place) -> type[BaseModel] | None:
    here: type[BaseModel] | None = model
    for part in place:
        if isinstance(part, str) and here:
            field = here.model_fields.get(part)
            here = _model_in(field.annotation) if field else None
    return here


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _meaning(parent: type[BaseModel] | None, place: Place) -> str:
    field = parent.model_fields.get(str(place[-1])) if parent and place else None
    return field.description or "" if field else ""
