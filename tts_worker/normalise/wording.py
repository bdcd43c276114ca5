"""How each language says what is not a word: `languages/*.toml`, read once.

Names of currencies that are not listed there, of units and of months come from Babel, numbers from unicode-rbnf.
"""

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class Wording:
    """One language's file."""

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
    """By sign: singular, plural, singular and plural of the hundredth, and the gender if it is feminine."""
    scales: list[str]
    """Words behind a number that multiply it."""
    time: dict[str, Any]
    date: dict[str, Any]
    abbreviations: dict[str, str]
    """Match as written, with blanks behind inner full stops or without."""
    closing: dict[str, str]
    """More of them, which may end a sentence: their full stop ends it too."""
    contextual: list[list[str]]
    """Regular expressions and what is said for them."""
    money_join: str
    money_minor: bool = False
    """The hundredth is named: "twelve euros and fifty cents", but "zwölf Euro fünfzig"."""
    money_few: dict[str, str] = field(default_factory=dict)
    """What of `money` is called otherwise behind a few."""
    short_scales: dict[str, str] = field(default_factory=dict)
    """Letters behind an amount that stand for one of `scales`."""
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
    files = resources.files(__package__ or "").joinpath("languages").iterdir()
    tables = {file.name.removesuffix(".toml"): file.read_text("utf-8") for file in files if file.name.endswith(".toml")}
    return {language: Wording(**tomllib.loads(table)) for language, table in tables.items()}
