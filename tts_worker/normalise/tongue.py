"""One language in one region: how it spells numbers, counts nouns and orders a date.

Rules and names are those of the Unicode CLDR, by way of unicode-rbnf and Babel, read from their packages once per
language; from then on nothing here does input or output.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.numbers import format_decimal, get_currency_name, get_decimal_symbol
from babel.units import format_unit
from unicode_rbnf import RbnfEngine

from tts_worker.normalise.wording import Wording, wordings

LARGEST = 10**15
"""Larger numbers are read digit by digit."""
NEUTRAL, MASCULINE, FEMININE = "neutral", "masculine", "feminine"


@dataclass(frozen=True)
class Number:
    """A number as written."""

    whole: str
    fraction: str = ""
    """Digits behind the decimal separator."""

    @property
    def value(self) -> Decimal | int:
        """What it stands for. 1 and 1.0 are not the same: "one metre", but "one point zero metres"."""
        return Decimal(f"{self.whole}.{self.fraction}") if self.fraction else int(self.whole)


class Tongue:
    """See above. `language` is the part of the tag without region."""

    def __init__(self, language: str, locale: Locale, wording: Wording) -> None:
        self.language, self.wording, self.locale = language, wording, locale
        names = RbnfEngine.get_supported_languages()
        regional = f"{language}_{locale.territory}"
        self._engine = RbnfEngine.for_language(regional if regional in names else language)
        self._verbose = language == "en" and locale.territory not in (None, "US", "CA")
        self._fixups = [(re.compile(pattern), repl) for pattern, repl in wording.fixups]
        self.decimal = get_decimal_symbol(locale, numbering_system="latn")
        self.group = "." if self.decimal == "," else ","
        self.month_first = locale.date_formats["short"].pattern.startswith("M")
        self.british = self._verbose
        self.months = _months(locale)

    def cardinal(self, digits: str, gender: str = NEUTRAL) -> str:
        """A whole number; one that is too long, or begins with a zero, digit by digit."""
        number = int(digits)
        if number >= LARGEST or (digits[0] == "0" and len(digits) > 1):
            return self.digits(digits)
        if number == 1 and gender == MASCULINE and self.wording.one:
            return self.wording.one
        sets = self.wording.cardinal
        return self._spell(number, sets.get(gender, sets[NEUTRAL]))

    def digits(self, digits: str) -> str:
        """Digit by digit."""
        return " ".join(self.cardinal(digit) for digit in digits)

    def ordinal(self, number: int, form: str = MASCULINE) -> str:
        """Of the forms that the language has."""
        sets = self.wording.ordinal
        return self._spell(number, sets.get(form, sets[MASCULINE]))

    def year(self, number: int) -> str:
        """As a year is said."""
        if self.wording.century and 1100 <= number < 2000:
            hundreds = f"{self.cardinal(str(number // 100))} {self.wording.century}"
            return f"{hundreds} {self.cardinal(str(number % 100))}" if number % 100 else hundreds
        return self._spell(number, self.wording.year_set)

    def say(self, number: Number, gender: str = NEUTRAL, point: str = "") -> str:
        """With its decimals, and `point` in front of them instead of the language's own word."""
        if not number.fraction:
            return self.cardinal(number.whole, gender)
        fraction = number.fraction
        short = self.wording.fraction_as_number and len(fraction) <= 2 and fraction[0] != "0"
        return " ".join(
            (
                self.cardinal(number.whole),
                point or self.wording.point,
                self.cardinal(fraction) if short else self.digits(fraction),
            )
        )

    def is_one(self, number: Number) -> bool:
        """The noun behind it is in the singular."""
        return self.locale.plural_form(number.value) == "one"

    def counted(self, number: Number, one: str, other: str) -> str:
        """A noun behind `number`."""
        if self.is_one(number):
            return one
        few = self.locale.plural_form(number.value) == "few"
        return self.wording.money_few.get(other, other) if few else other

    def unit(self, number: Number, unit: str) -> str:
        """`number` of a unit of the CLDR, such as "length-kilometer"."""
        if int(number.whole) >= LARGEST:
            return self.say(number)
        value = number.value
        pattern = format_unit(value, unit, length="long", locale=self.locale).replace("\u00a0", " ")
        written = format_decimal(value, locale=self.locale).replace("\u00a0", " ")
        return pattern.replace(written, self.say(number, self.unit_gender(unit.partition("-")[2])), 1)

    def unit_gender(self, name: str) -> str:
        """Of a unit without its kind, or of the code of a currency."""
        return FEMININE if name in self.wording.feminine_units else MASCULINE

    def currency(self, code: str, number: Number) -> str:
        """The currency's name behind `number`."""
        name = get_currency_name(code, number.value, locale=self.locale)
        return name.lower() if self.language in ("pt", "es", "fr", "it") else name

    def gender_before(self, following: str) -> str:
        """What a number takes on in front of `following`, the next word: guessed by its ending. Empty if none comes."""
        word = self.wording
        if not following:
            return NEUTRAL
        if following in word.masculine_words:
            return MASCULINE if len(following) > 1 and following not in ("para", "cada", "sarà", "era") else NEUTRAL
        if following.removesuffix("s") in word.feminine_words or following.endswith(tuple(word.feminine_endings)):
            return FEMININE
        counts = word.feminine_endings and following.endswith(("o", "os", "e", "es", "i", "s"))
        return MASCULINE if counts and len(following) > 3 else NEUTRAL

    def _spell(self, number: int, rules: str) -> str:
        if self._verbose and f"{rules}-verbose" in self._engine.rulesets:
            rules += "-verbose"
        text = self._engine.format_number(number, ruleset_names=[rules]).text
        for pattern, replacement in self._fixups:
            text = pattern.sub(replacement, text)
        return text


def _months(locale: Locale) -> dict[str, int]:
    """By name and short name, without a final full stop."""
    found: dict[str, int] = {}
    for width in ("wide", "abbreviated"):
        for context in ("format", "stand-alone"):
            for number, name in locale.months[context][width].items():
                found[name.rstrip(".")] = number
    if locale.language == "en":
        found["Sept"] = 9
    return found


@lru_cache(maxsize=64)
def tongue(tag: str) -> Tongue | None:
    """For a BCP 47 tag; None for a language that is not spelled out here."""
    parts = tag.replace("_", "-").split("-")
    language = parts[0].lower()
    wording = wordings().get(language)
    if wording is None:
        return None
    region = next((part.upper() for part in parts[1:] if len(part) == 2 and part.isalpha()), None)
    try:
        locale = Locale(language, region) if region else Locale(language)
    except (UnknownLocaleError, ValueError):
        locale = Locale(language)
    return Tongue(language, locale, wording)
