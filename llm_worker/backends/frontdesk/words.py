"""Word lists, read from words.toml."""

import tomllib
from importlib import resources

_LISTS = tomllib.loads(
    resources.files("llm_worker.backends.frontdesk").joinpath("words.toml").read_text(encoding="utf-8")
)


def _words(name: str) -> tuple[str, ...]:
    return tuple(str(_LISTS[name]).split())


NOT_NAMES = frozenset(_words("not_names"))
"""What follows "I'm", or answers "your name?", without being a name."""
KEYWORDS = _words("keywords")
"""Words whose misspellings are mended."""
UNITS = _words("units")
"""zero to nineteen."""
TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50}
ORDINALS = {word: number for number, word in enumerate(_words("ordinals"), start=1)} | {"thirtieth": 30}
MONTHS = _words("months")
