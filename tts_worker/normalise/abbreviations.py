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
        known.setdefault(short, spoken)
        known.setdefault(short[:1].upper() + short[1:], spoken[:1].upper() + spoken[1:])
    names = "|".join(_loose(short) for short in sorted(known, key=len, reverse=True))
    return re.compile(rf"(?<![\w.@/-])(?:{names})(?![^\W\d]|@)"), {
        _bare(short): spoken for short, spoken in known.items()
    }


def _loose(short: str) -> str:
    """An expression for it: what is written behind an inner full stop may be set apart or not."""
    parts = re.findall(r"[^. ]+[. ]*|[. ]+", short)
    return r"[ \u00a0]?".join(re.escape(part.strip()) for part in parts)


def _bare(short: str) -> str:
    return re.sub("[ \u00a0]", "", short)


def _expand(found: re.Match[str], known: dict[str, str], tongue: Tongue) -> str:
    short = _bare(found.group())
    spoken, behind = known[short], found.string[found.end() :]
    if not short.endswith(".") or short.lower() not in {_bare(name).lower() for name in tongue.wording.closing}:
        return spoken
    # German nouns look like the beginning of a sentence; there only the end of the text is one for sure.
    ends = not behind.strip() or (
        tongue.language != "de" and re.match(r"\s+[^\W\d_]", behind) and behind.split()[0][0].isupper()
    )
    return f"{spoken}." if ends else spoken
