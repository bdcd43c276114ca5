"""Whether two spellings are the same person, by the rules of the agent's calendar. PURE."""

import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher

SIMILAR = 0.8
"""Share of letters in common of the whole name."""
SIMILAR_WHEN_TIME_IS_KNOWN = 0.6
SIMILAR_WORD = 0.6
"""Of each word alone, so that a shared family name does not outweigh another first name."""


def plain(name: str) -> str:
    """Small letters without accents, punctuation, titles and double spaces."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    kept = "".join(c if c.isalnum() else " " for c in letters if not unicodedata.combining(c) and c not in "'’")
    return " ".join(word for word in kept.split() if word not in {"mr", "mrs", "ms", "miss", "dr"})


def matches(name: str, candidates: Sequence[str], similar: float = SIMILAR) -> list[int]:
    """Indices of the candidates that are `name`: those spelt alike if any is, else those spelt nearly alike."""
    wanted = plain(name)
    if not wanted:
        return []
    spelt = [plain(candidate) for candidate in candidates]
    exact = [index for index, candidate in enumerate(spelt) if candidate == wanted]
    return exact or [index for index, candidate in enumerate(spelt) if _near(wanted, candidate, similar)]


def _near(one: str, other: str, similar: float) -> bool:
    if _ratio(one.replace(" ", ""), other.replace(" ", "")) < similar:
        return False
    words, others = one.split(), other.split()
    return len(words) != len(others) or all(_ratio(a, b) >= SIMILAR_WORD for a, b in zip(words, others, strict=True))


def _ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
