"""The recogniser's errors on the telephone, put on callers' words; counted by `scripts/hear_callers.py`. PURE."""

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from llm_worker.forge.grammar import Piece

LONGEST = 3
"""Words that one error spans at most."""


@dataclass(frozen=True, slots=True)
class Slips:
    """What became of some words: how often they were said, and what was heard instead how often."""

    said: int
    heard: Mapping[str, int]


@cache
def table() -> Mapping[str, Slips]:
    """By words in small letters, without punctuation."""
    path = resources.files("llm_worker.forge.lists").joinpath("noise.json")
    entries = json.loads(path.read_text(encoding="utf-8"))["errors"]
    return {words: Slips(said, heard) for words, (said, heard) in entries.items()}


def disturb(pieces: Sequence[Piece], draw: random.Random, strength: float) -> tuple[list[Piece], frozenset[int]]:
    """The pieces as they are heard, and which of them changed. `strength` multiplies the rates that were counted: 1 is
    the packaged voice on a line of middling noise. What would be lost whole arrives as it was said: of silence no
    recogniser tells."""
    heard: list[Piece] = []
    changed = set()
    for number, piece in enumerate(pieces):
        said = _heard(piece.text, draw, strength)
        if said != piece.text:
            changed.add(number)
        heard.append(Piece(said, piece.slot))
    if not any(piece.text.strip() for piece in heard):
        return list(pieces), frozenset()
    return heard, frozenset(changed)


def _heard(text: str, draw: random.Random, strength: float) -> str:
    """The text with errors in it; blanks at its ends stay."""
    words = text.split()
    out: list[str] = []
    at = 0
    while at < len(words):
        size, became = _slip(words, at, draw, strength)
        if not size:
            out.append(words[at])
            at += 1
            continue
        if became:
            out.append(became)
        at += size
    joined = " ".join(out)
    return text if out == words else text[: len(text) - len(text.lstrip())] + joined + text[len(text.rstrip()) :]


def _slip(words: Sequence[str], at: int, draw: random.Random, strength: float) -> tuple[int, str]:
    """An error that begins here: how many words it takes, and what is heard instead; 0: none."""
    for size in range(min(LONGEST, len(words) - at), 0, -1):
        slips = table().get(" ".join(bare(word) for word in words[at : at + size]))
        if slips is None:
            continue
        rate = sum(slips.heard.values()) / slips.said
        if draw.random() < min(rate * strength, 0.9):
            return size, draw.choices(list(slips.heard), list(slips.heard.values()))[0]
    return 0, ""


def bare(word: str) -> str:
    """Small letters without punctuation at the ends."""
    return re.sub(r"^\W+|\W+$", "", word.lower())
