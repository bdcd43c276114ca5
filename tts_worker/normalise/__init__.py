"""What a text sounds like, in the text: numbers, dates and the like are written out and marks that are not said taken
away, so that a model which reads every byte reads what a speaker would say.

PURE but for reading its own packages' data once per language; never raises. See `docs/normalisation.md`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from tts_worker.normalise.abbreviations import abbreviations
from tts_worker.normalise.aligned import Aligned
from tts_worker.normalise.calendar import dates
from tts_worker.normalise.clock import times
from tts_worker.normalise.contacts import addresses, phones
from tts_worker.normalise.markdown import flatten
from tts_worker.normalise.numbers import fractions, ordinals, plain, ranges
from tts_worker.normalise.quantities import money, percent, units
from tts_worker.normalise.tongue import Tongue, tongue
from tts_worker.normalise.typography import fold, tidy

_STEPS: tuple[Callable[[Aligned, Tongue], Aligned], ...] = (
    addresses, dates, phones, abbreviations, ranges, times, ordinals, money, percent, units, fractions, plain,
)  # fmt: skip
"""In this order: what is more particular first, so that "22.11." is a date before it is a number."""


@dataclass(frozen=True)
class Normalised:
    """A text to be spoken, character by character traced to where it came from."""

    text: str
    origins: tuple[int, ...]
    """For each character, and the end: how far the sent text is said before it. From 0 to the sent text's length."""


def normalise(text: str, language: str) -> Normalised:
    """`text` as it is said in `language` (BCP 47). A language that is not known has its marks cleaned up only."""
    spoken = flatten(fold(Aligned.of(text)))
    known = tongue(language)
    if known is not None:
        for step in _STEPS:
            spoken = step(spoken, known)
        spoken = _symbols(spoken, known)
    spoken = tidy(spoken, known.wording.full_stop if known else ".")
    return Normalised(spoken.text, (0, *spoken.origins[1:-1], len(text)) if spoken.text else (0,))


def _symbols(text: Aligned, known: Tongue) -> Aligned:
    """Signs that stand for a word; an @ that is no address is one."""
    words = known.wording.symbols | {"@": known.wording.web["at"]}
    pattern = re.compile(rf"\s*([{''.join(map(re.escape, words))}])\s*")
    return text.sub(pattern, lambda found: f" {words[found[1]]} ")
