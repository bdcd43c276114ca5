"""A small language for phrasings: `(a|b)` a choice, `[a]` may be left out, `{slot}` filled in. PURE.

A rendered phrase is a list of pieces, so that noise can be put on the words around a slot and on the slot apart.
"""

import random
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

_TOKENS = re.compile(r"[()\[\]|]|\{\w+\}|[^()\[\]|{}]+")


@dataclass(frozen=True, slots=True)
class Piece:
    """Text, and the slot that it stands for; empty: plain words."""

    text: str
    slot: str = ""


@dataclass(frozen=True, slots=True)
class _Choice:
    options: tuple["_Sequence", ...]


_Sequence = tuple["str | _Choice", ...]


@cache
def parse(template: str) -> _Sequence:
    """The template as a tree. Raises ValueError for brackets that do not match."""
    tokens = _TOKENS.findall(template)
    tree, rest = _sequence(tokens, 0, template)
    if rest != len(tokens):
        raise ValueError(f"phrase {template!r}: a bracket too many")
    return tree


@cache
def slots(template: str) -> frozenset[str]:
    """Names of the slots that are always filled; those in brackets that can be left out do not count."""
    return _needed(parse(template))


def expand(template: str, draw: random.Random, values: Mapping[str, str]) -> list[Piece]:
    """One rendering. What may be left out and has no value is left out. Raises KeyError for a slot without a value."""
    return _tidy(_expand(parse(template), draw, values))


def text(pieces: Sequence[Piece]) -> str:
    """The pieces as one text, with a capital letter, single blanks, and none before a comma."""
    joined = "".join(piece.text for piece in pieces)
    joined = re.sub(r"\s+", " ", joined)
    joined = re.sub(r" +(?=[,.?!])", "", joined)
    joined = re.sub(r"([.?!])[,.]+", r"\1", joined)
    joined = re.sub(r",(?:\s*,)+", ",", joined)
    joined = re.sub(r"^[\s,.?!]+", "", joined).strip()
    joined = re.sub(r"(?<![ap]\.m\.)(?<=[.?!]) [a-z]", lambda letter: letter[0].upper(), joined)
    return joined[:1].upper() + joined[1:]


def sentence(template: str, draw: random.Random, values: Mapping[str, str]) -> str:
    """One rendering as text."""
    return text(expand(template, draw, values))


@cache
def load(name: str) -> Mapping[str, Any]:
    """One of the lists of phrases, by file name without ending."""
    path = resources.files("llm_worker.forge.lists").joinpath(f"{name}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _sequence(tokens: Sequence[str], at: int, template: str) -> tuple[_Sequence, int]:
    parts: list[str | _Choice] = []
    while at < len(tokens) and tokens[at] not in (")", "]", "|"):
        if tokens[at] in ("(", "["):
            choice, at = _choice(tokens, at, template)
            parts.append(choice)
        else:
            parts.append(tokens[at])
            at += 1
    return tuple(parts), at


def _choice(tokens: Sequence[str], at: int, template: str) -> tuple[_Choice, int]:
    closing = ")" if tokens[at] == "(" else "]"
    options: list[_Sequence] = [] if closing == ")" else [()]
    while True:
        option, at = _sequence(tokens, at + 1, template)
        options.append(option)
        if at >= len(tokens):
            raise ValueError(f"phrase {template!r}: a bracket is not closed")
        if tokens[at] != "|":
            break
    if tokens[at] != closing:
        raise ValueError(f"phrase {template!r}: {tokens[at]!r} closes another bracket")
    return _Choice(tuple(options)), at + 1


def _needed(tree: _Sequence) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for part in tree:
        if isinstance(part, _Choice):
            each = [_needed(option) for option in part.options]
            found |= frozenset.intersection(*each)
        elif part.startswith("{"):
            found |= {part[1:-1]}
    return found


def _expand(tree: _Sequence, draw: random.Random, values: Mapping[str, str]) -> list[Piece]:
    pieces: list[Piece] = []
    for part in tree:
        if isinstance(part, _Choice):
            fitting = [option for option in part.options if _needed(option) <= values.keys()]
            pieces += _expand(draw.choice(fitting or part.options), draw, values)
        elif part.startswith("{"):
            pieces.append(Piece(values[part[1:-1]], part[1:-1]))
        else:
            pieces.append(Piece(part))
    return pieces


def _tidy(pieces: Sequence[Piece]) -> list[Piece]:
    """Neighbouring plain words as one piece; empty ones gone."""
    tidy: list[Piece] = []
    for piece in pieces:
        if not piece.text:
            continue
        if tidy and not piece.slot and not tidy[-1].slot:
            tidy[-1] = Piece(tidy[-1].text + piece.text)
        else:
            tidy.append(piece)
    return tidy
