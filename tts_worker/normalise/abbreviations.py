"""PURE: abbreviations written out."""

import re
from functools import cache

from tts_worker.normalise.aligned import Aligned
from tts_worker.normalise.tongue import Tongue
from tts_worker.normalise.wording import wordings


def abbreviations(text: Aligned, tongue: Tongue) -> Aligned:
    """Those of the language; one that may end a sentence leaves its full stop where a sentence seems to end."""
    pattern, known = _pattern(tongue.language)
    for expression, spoken in _contextual(tongue.language):
        text = text.sub(expression, spoken)
    return text.sub(pattern, lambda found: _expand(found, known, tongue))


@cache
def _contextual(language: str) -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(expression), spoken) for expression, spoken in wordings()[language].contextual]


@cache
def _pattern(language: str) -> tuple[re.Pattern[str], dict[str, str]]:
    """Any abbreviation, with blanks or none behind its inner full stops, and what each is without them."""
    wording = wordings()[language]
    known: dict[str, str] = {}
    for short, spoken in (wording.abbreviations | wording.closing).items():
        known.setdefault(short.replace(" ", ""), spoken)
        known.setdefault(short[:1].upper() + short[1:].replace(" ", ""), spoken[:1].upper() + spoken[1:])
    names = sorted(known, key=len, reverse=True)
    inner = "|".join(re.escape(name).replace(r"\.", r"\.[ \u00a0]?").removesuffix(r"[ \u00a0]?") for name in names)
    return re.compile(rf"(?<![\w.@/-])(?:{inner})(?![\w@])"), known


def _expand(found: re.Match[str], known: dict[str, str], tongue: Tongue) -> str:
    short = re.sub("[ \u00a0]", "", found.group())
    spoken = known[short]
    if short.endswith(("-", "/")):
        return spoken + " " * short.endswith("/")
    behind = found.string[found.end() :]
    closing = {name.replace(" ", "").lower() for name in tongue.wording.closing}
    ends = short.endswith(".") and short.lower() in closing and (not behind or re.match(r"\s+[^\W\d_]", behind))
    capital = behind.strip()[:1].isupper() and tongue.language != "de"
    return f"{spoken}." if ends and (not behind or capital) else spoken
