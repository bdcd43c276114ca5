"""The text of the generated corpus: sentences as they are said on the phone, and everything else. PURE but for reading
the lists beside it.

Sentence number n of a seed is always the same, whatever was asked for before.
"""

import json
import re
import tomllib
from collections.abc import Callable, Sequence
from functools import cache
from gzip import decompress
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

_SLOT = re.compile(r"\{(\w+)\}")
_NAMES = ("first", "last")
_JOINED = 0.2
"""Share of texts that are two sentences, so that there are pauses between them."""
_HELD_OUT = 50
"""One text in so many is held out."""


def sentence(seed: int, number: int) -> str:
    """Text `number` of `seed`: one sentence or two."""
    random = Random(f"{seed}/{number}")
    count = 2 if random.random() < _JOINED else 1
    return " ".join(_one(random) for _ in range(count))


def held_out(text: str) -> bool:
    """Whether a text is kept for evaluation; the same for texts that differ in marks and capitals only."""
    return crc32("".join(c for c in text.lower() if c.isalnum()).encode()) % _HELD_OUT == 0


def _one(random: Random) -> str:
    kinds = list(_lists()["kinds"].values())
    kind = random.choices(kinds, [kind["share"] for kind in kinds])[0]
    pattern: str = random.choice(kind["sentences"])
    # A name that is spelled is the one that is said.
    names = {name: _fill(name, random) for name in _NAMES if f"{{spelled{name}}}" in pattern}
    spelled = {f"spelled{name}": _spelled(value, random) for name, value in names.items()}
    fixed = names | spelled
    said = _SLOT.sub(lambda slot: fixed.get(slot[1]) or _fill(slot[1], random), pattern)
    said = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", said)
    return said[0].upper() + said[1:]


def _fill(slot: str, random: Random) -> str:
    if made := _MADE.get(slot):
        return made(random)
    choices: Sequence[str] = _words() if slot == "word" else _lists()["lists"][slot]
    return random.choice(choices)


@cache
def _lists() -> dict[str, Any]:
    return tomllib.loads((files("tts_worker.forge") / "words.toml").read_text(encoding="utf-8"))


@cache
def _words() -> Sequence[str]:
    """The plain words of the packaged pronunciation dictionary."""
    from hibari.tts import ASSETS  # its import loads onnxruntime

    lexicon = json.loads(decompress((Path(ASSETS) / "lexicon_us_gold.json.gz").read_bytes()))
    return sorted(word for word in lexicon if word.isascii() and word.isalpha() and word.islower() and len(word) > 2)


def _number(random: Random) -> str:
    """Of all lengths equally often."""
    number = random.randrange(10 ** random.randint(1, 6))
    return f"{number:,}"


def _date(random: Random) -> str:
    month, day = random.choice(_lists()["lists"]["month"]), random.randint(1, 31)
    return f"{month} {day}{_suffix(day)}" if random.random() < 0.5 else f"the {day}{_suffix(day)} of {month}"


def _ordinal(random: Random) -> str:
    number = random.randint(1, 40)
    return f"{number}{_suffix(number)}"


def _suffix(number: int) -> str:
    return "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def _time(random: Random) -> str:
    hour, minute = random.randint(1, 12), random.choice((0, 15, 30, 45, random.randrange(60)))
    half = random.choice((" a.m.", " p.m.", ""))
    return f"{hour}:{minute:02d}{half}" if minute or not half else f"{hour}{half}"


def _money(random: Random) -> str:
    sign, amount = random.choice("$$$€£"), random.randrange(10 ** random.randint(1, 4))
    return f"{sign}{amount:,}" if random.random() < 0.4 else f"{sign}{amount:,}.{random.randrange(100):02d}"


def _digits(random: Random, count: int = 0) -> str:
    """Said one by one."""
    return " ".join(str(random.randrange(10)) for _ in range(count or random.randint(3, 8)))


def _phone(random: Random) -> str:
    groups = random.choice(((3, 3, 4), (3, 4), (4, 3, 3)))
    return ", ".join(_digits(random, count) for count in groups)


def _code(random: Random) -> str:
    return " ".join(random.choice("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789") for _ in range(random.randint(4, 6)))


def _spelled(word: str, random: Random) -> str:
    """Letter by letter."""
    letters = [letter.upper() for letter in word if letter.isalpha()]
    return random.choice((", ", " ", "-")).join(letters)


_MADE: dict[str, Callable[[Random], str]] = {
    "number": _number,
    "small": lambda random: str(random.randint(1, 99)),
    "count": lambda random: str(random.randint(2, 12)),
    "digit": lambda random: str(random.randrange(10)),
    "four": lambda random: _digits(random, 4),
    "digits": _digits,
    "decimal": lambda random: f"{random.randrange(100)}.{random.randrange(1, 100)}",
    "percent": lambda random: f"{random.choice((random.randint(1, 100), round(random.uniform(0, 20), 1)))}%",
    "ordinal": _ordinal,
    "year": lambda random: str(random.randint(1900, 2035)),
    "date": _date,
    "time": _time,
    "hour": lambda random: f"{random.randint(1, 12)}{random.choice((' a.m.', ' p.m.', ' o’clock'))}",
    "money": _money,
    "phone": _phone,
    "code": _code,
    "spelled": lambda random: _spelled(random.choice(_words()), random),
}
