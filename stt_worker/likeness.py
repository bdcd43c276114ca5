"""Names that sound like a hint, written as the hint: PURE.

A small model hears "Kowalczyk" and writes "Cowalczyk", although the prompt names it. What was written is compared with
the hints sound by sound; a listener errs in vowels and within a family of consonants. On 72 utterances of 36 names with
a dozen decoys it took the names right from 76 to 94 %; in 112 utterances without any hinted name it wrote one twice,
"Castellanos" for "Castellano".
"""

import re
from collections.abc import Sequence
from functools import lru_cache

# Spellings of one sound, longest first: as in English names and in those it borrowed.
_SOUNDS = (
    ("sch", "S"), ("tch", "C"), ("dge", "j"), ("sz", "S"), ("sh", "S"), ("cz", "C"), ("ch", "C"), ("ph", "f"),
    ("gh", "g"), ("th", "t"), ("ck", "k"), ("qu", "kv"), ("ce", "se"), ("ci", "si"), ("cy", "si"), ("c", "k"),
    ("q", "k"), ("x", "ks"), ("w", "v"), ("z", "s"), ("y", "i"),
)  # fmt: skip
_VOWELS = frozenset("aeiou")
_FAMILIES = tuple(map(frozenset, ("pb", "tdC", "kgh", "fv", "sSCj", "mn", "lr")))
_VOWEL_FOR_VOWEL = 0.3
_VOWEL_TOO_MUCH = 0.5
_IN_FAMILY = 0.5

ALIKE = 0.8
"""Enough if the model was not sure of the word itself. Different names reached 0.78: Svensson and Sorensen."""
SAME = 0.97
"""Enough in any case: Hoffman and Hoffmann."""
UNSURE = 0.75
CLEAR_LEAD = 0.08
"""Between the likest hint and the next."""
SHORTEST = 4
_WORD = re.compile(r"(\W*)(\w[\w'-]*?)((?:'s)?\W*)")


def as_hinted(word: str, confidence: float, hints: Sequence[str]) -> str:
    """The word, or the hint that it was meant to be, punctuation kept. Only capitalised words are taken for names.

    `confidence` is of the word; 1 where it is not known, which leaves only what sounds the same.
    """
    match = _WORD.fullmatch(word)
    if match is None or len(match[2]) < SHORTEST or not match[2][0].isupper():
        return word
    names = [name for hint in hints for name in hint.split() if len(name) >= SHORTEST and name[0].isupper()]
    ranked = sorted(((likeness(match[2], name), name) for name in set(names)), reverse=True)
    if not ranked or any(name.casefold() == match[2].casefold() for name in names):
        return word
    best, name = ranked[0]
    lead = best - (ranked[1][0] if len(ranked) > 1 else 0.0)
    if best >= (ALIKE if confidence < UNSURE else SAME) and lead >= CLEAR_LEAD:
        return f"{match[1]}{name}{match[3]}"
    return word


def likeness(one: str, other: str) -> float:
    """How alike two names sound: 1 the same, 0 not at all."""
    a, b = _sounds(one), _sounds(other)
    return 1 - _distance(a, b) / max(len(a), len(b), 1)


@lru_cache(maxsize=4096)
def _sounds(name: str) -> str:
    text = re.sub(r"[^a-z]", "", name.casefold())
    for letters, sound in _SOUNDS:
        text = text.replace(letters, sound)
    text = text[:1] + text[1:].replace("h", "")
    return re.sub(r"(.)\1+", r"\1", text)


def _distance(a: str, b: str) -> float:
    """Edits between two strings of sounds, weighted."""
    row = [0.0]
    for sound in b:
        row.append(row[-1] + _gap(sound))
    for x in a:
        last, row = row, [row[0] + _gap(x)]
        for i, y in enumerate(b):
            row.append(min(last[i] + _swap(x, y), last[i + 1] + _gap(x), row[i] + _gap(y)))
    return row[-1]


def _gap(sound: str) -> float:
    return _VOWEL_TOO_MUCH if sound in _VOWELS else 1.0


def _swap(one: str, other: str) -> float:
    if one == other:
        return 0.0
    if one in _VOWELS and other in _VOWELS:
        return _VOWEL_FOR_VOWEL
    return _IN_FAMILY if any(one in family and other in family for family in _FAMILIES) else 1.0
