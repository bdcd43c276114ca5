"""Names of people in recognised speech, introduced ("this is Anna"), answered, spelled or corrected."""

import re
from difflib import SequenceMatcher

from llm_worker.backends.frontdesk.words import NOT_NAMES

_STRONG = re.compile(
    r"\b(?:my name is|my name's|my name,?|the name is|the name's|name is|name should be|the name of|"
    r"under the name(?: of)?|under|this is|i am|i'm|call me)\s+",
    re.I,
)
_ASKED = re.compile(r"\b(?:it's|it is|it should be|that's|that is|that would be|it'd be|for|yes|sure)[,\s]+", re.I)
_CAPITALS = re.compile(r"\bI\b|(?<=[a-z,] )[A-Z][a-z]")
_LETTERS = re.compile(r"(?:(?<=\s)|^)((?:double [a-z]|[a-z](?: (?:as in|for|like) [a-z]+)?)(?:[\s,.-]+|$)){3,}", re.I)
_LETTER = re.compile(r"(double )?\b([a-z])\b(?: (?:as in|for|like) [a-z]+)?", re.I)
_TITLES = {"mr", "mrs", "ms", "miss", "mister", "missus"}


def find(text: str, asked: bool) -> str:
    """The name in a text as the recogniser wrote it; empty when there is none. `asked`: a name was asked for."""
    spelled, rest = _spelled(text)
    said = _introduced(rest) or (_answered(rest) if asked else "")
    if not spelled:
        return said
    return corrected(said, spelled) if said else (spelled if asked or re.search(r"spell|name", text, re.I) else "")


def corrected(name: str, other: str) -> str:
    """`name` after the caller said or spelled `other`: all of it, or the part of it that is most like it."""
    parts = name.split()
    if not parts or len(other.split()) > 1:
        return other or name
    joined = "".join(parts)
    scores = [_alike(part, other) for part in parts]
    best = max(range(len(parts)), key=scores.__getitem__)
    if len(parts) == 2 and _alike(joined, other) > max(0.75, scores[best]):  # both names spelled in one go
        cut = max(range(1, len(other)), key=lambda at: _alike(parts[0], other[:at]) + _alike(parts[1], other[at:]))
        return f"{_cased(other[:cut])} {_cased(other[cut:])}"
    if scores[best] >= 0.5:
        parts[best] = other
    elif len(parts) == 1:
        parts.append(other)
    else:
        parts[-1] = other
    return " ".join(parts)


def replaced(text: str, name: str) -> str:
    """The new name when the text says "not X but Y" and X is a part of `name`; else empty."""
    said = re.search(r"\bnot ([a-z']+)[\s,.]+(?:but |it's |it is )?([a-z']+)\W*$", text, re.I)
    if said and name and said[2].lower() not in NOT_NAMES:
        for part in name.split():
            if _alike(part, said[1]) >= 0.7:
                return name.replace(part, _cased(said[2]))
    return ""


def _alike(one: str, other: str) -> float:
    return SequenceMatcher(None, one.lower(), other.lower()).ratio()


def _spelled(text: str) -> tuple[str, str]:
    """The spelled word, and the text without the letters."""
    runs = [run for run in _LETTERS.finditer(text) if len(_LETTER.findall(run[0])) >= 3]
    if not runs:
        return "", text
    run = runs[-1]
    letters = "".join(letter * (2 if double else 1) for double, letter in _LETTER.findall(run[0]))
    return _cased(letters), f"{text[: run.start()]} {text[run.end() :]}"


def _introduced(text: str) -> str:
    for intro in reversed(list(_STRONG.finditer(text))):
        verb_follows = intro[0].lower().strip() in {"i'm", "i am", "this is", "under"}
        # "I am away until January": where there are capitals, a name has them, too.
        if verb_follows and _CAPITALS.search(text) and not text[intro.end() : intro.end() + 1].isupper():
            continue
        if name := _collected(text[intro.end() :], strict=verb_follows):
            return name
    return ""


def _answered(text: str) -> str:
    """A name that is the whole answer, but for politeness."""
    introduced = [_collected(text[intro.end() :]) for intro in _ASKED.finditer(text)]
    candidates = [*introduced, *(_collected(part) for part in re.split(r"[.?!,;]", text))]
    # "It's Miller. Anna Miller.": the fuller one counts, the first of equals.
    return max(candidates, key=lambda name: len(name.split()), default="")


def _collected(text: str, strict: bool = False) -> str:
    """The words at the beginning that can be a name: at most four."""
    name: list[str] = []
    for token in text.split():
        word = token.strip('.,?!;:"()').replace("’", "'")
        bare = word.lower().removesuffix("'s") if word.lower().endswith("'s") else word.lower()
        if bare in _TITLES and not name:
            continue
        if not re.fullmatch(r"[^\W\d_](?:[^\W\d_]|['-])*", word) or bare in NOT_NAMES:
            if not name and bare in {"uh", "um", "er", "well", "so", "yes", "okay", "sure", "hi", "hello", "oh"}:
                continue
            break
        if strict and not name and re.search(r"(?:ing|ed|ly)$", bare) and not word[0].isupper():
            break
        name.append(_cased(word))
        if len(name) == 4 or token[-1] in ".,?!;:":
            break
    return " ".join(name) if name and len("".join(name)) > 1 else ""


def _cased(word: str) -> str:
    """ "o'brien" as O'Brien; a word that has capitals already stays, unless it has nothing else."""
    if any(c.isupper() for c in word) and not (word.isupper() and len(word) > 1):
        return word
    return re.sub(r"(^|['-])(\w)", lambda m: m[1] + m[2].upper(), word.lower())
