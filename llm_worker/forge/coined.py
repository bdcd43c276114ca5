"""Names that nobody has thought of. A model that is to copy any name must not know all names that there are."""

import random
from functools import cache

from llm_worker.forge.grammar import load


def coined(draw: random.Random) -> str:
    """One name of one to three syllables and an ending, most of them sayable."""
    count = draw.choice((1, 2, 2))
    syllables = ["".join(draw.choice(_parts(kind)) for kind in ("onsets", "vowels", "codas")) for _ in range(count)]
    ending = draw.choice(_parts("ends")) if count == 1 or draw.random() < 0.4 else ""
    return ("".join(syllables) + ending).capitalize()


@cache
def _parts(kind: str) -> tuple[str, ...]:
    lists: dict[str, str] = load("names")["coined"]
    return tuple(part.strip("-") for part in lists[kind].split())
