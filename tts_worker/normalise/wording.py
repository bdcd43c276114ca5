"""What `wording.toml` says about each language, read once."""

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class Wording:
    """One language of the file; the keys are described there."""

    point: str
    minus: str
    to: str
    percent: str
    web: dict[str, str]
    symbols: dict[str, str]
    cardinal: dict[str, str]
    """Rule sets by gender."""
    ordinal: dict[str, str]
    money: dict[str, list[str]]
    scales: list[str]
    """Words behind a number that multiply it."""
    time: dict[str, Any]
    date: dict[str, Any]
    abbreviations: dict[str, str]
    closing: dict[str, str]
    contextual: list[list[str]]
    money_join: str
    money_minor: bool = False
    """The hundredth is named: "twelve euros and fifty cents", but "zwölf Euro fünfzig"."""
    scale_of: str = ""
    """Between such a word and what is counted: "trois millions d'euros"."""
    fraction_as_number: bool = False
    """Two decimals are read as a number, not digit by digit."""
    one: str = ""
    """1 in front of a masculine noun, where rules have only the word for counting."""
    century: str = ""
    """Years from 1100 to 1999 are so many hundreds."""
    year_set: str = "spellout-numbering-year"
    full_stop: str = "."
    comma: str = ","
    fixups: list[list[str]] = field(default_factory=list)
    """Regular expressions and replacements that put numbers right which the rules spell unusually."""
    feminine_units: list[str] = field(default_factory=list)
    feminine_words: list[str] = field(default_factory=list)
    feminine_endings: list[str] = field(default_factory=list)
    masculine_words: list[str] = field(default_factory=list)


@cache
def wordings() -> dict[str, Wording]:
    """By language, without region."""
    text = resources.files(__package__ or "").joinpath("wording.toml").read_text("utf-8")
    return {language: Wording(**table) for language, table in tomllib.loads(text).items()}
