"""PURE: from the text of a phrase to what an engine may read, and back to the code points that were sent."""

import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher

LONGEST_RUN = 40
"""Characters without a blank; a longer run is no word, and costs a pronunciation dictionary quadratic time."""
LONGEST_NUMBER = 15
"""Digits; a longer run is read digit by digit."""

# Square brackets are markup for pronunciations in several engines; nothing a caller's text holds may be markup.
_SAFE = str.maketrans("[]{}", "()()")
_SPOKEN_SYMBOLS = frozenset("$£€¥¢₹₩%&+=<>°@#*/~^½¼¾")
_CLAUSE = re.compile(r"[,;:—–]\s+")
_UNITS = re.compile(r"[^\W\d_]+|\d|\s+|.", re.DOTALL)
_CLOSING = "\"'”’»)]} \t\n"


@dataclass(frozen=True)
class Prepared:
    """A text that is safe to read, character by character traced to where it came from."""

    text: str
    origins: tuple[int, ...]
    """For each character, and the end: how far the sent text is said before it. From 0 to the text's length."""


def prepare(text: str) -> Prepared:
    """`text` without markup, control characters, pictures and endless words; a blank if nothing is left."""
    characters: list[str] = []
    origins: list[int] = []
    run = digits = begin = 0
    for position, character in enumerate(text):
        safe = _safe(character)
        if not safe:
            continue
        run = 0 if safe.isspace() else run + 1
        digits = digits + 1 if safe.isdigit() else 0
        if run > LONGEST_RUN or (digits and _too_many_digits(text, position, digits)):
            characters.append(" ")
            origins.append(begin)
            run = 1
        characters.append(safe)
        origins.append(begin)
        begin = position + 1
    if not characters:
        return Prepared(" ", (0, len(text)))
    return Prepared("".join(characters), (*origins, len(text)))


def _safe(character: str) -> str:
    """The character, its harmless stand-in, a blank, or nothing for one that joins or modifies its neighbours."""
    if character.isalnum() or character in _SPOKEN_SYMBOLS:
        return character
    kind = unicodedata.category(character)
    if kind == "Cf" or character in "\ufe0e\ufe0f":
        return ""
    if kind in {"Cc", "Cn", "Co", "Cs", "Sk", "So", "Zl", "Zp", "Zs"}:
        return " "
    return character.translate(_SAFE)


def _too_many_digits(text: str, position: int, before: int) -> bool:
    """Whether the digit at `position`, the `before`th of its run, is to be set apart from the one in front of it."""
    if before == 1:
        return False
    end = position
    while end < len(text) and text[end].isdigit() and end - position <= LONGEST_NUMBER:
        end += 1
    return before - 1 + end - position > LONGEST_NUMBER


def split(text: str, limit: int) -> list[tuple[int, int]]:
    """Ranges that cover `text`, none longer than `limit` where a blank allows it, cut after clauses if possible."""
    ranges = []
    start = 0
    while len(text) - start > limit:
        window = text[start : start + limit]
        clauses = [m.end() for m in _CLAUSE.finditer(window) if m.end() > limit // 4]
        cut = clauses[-1] if clauses else window.rfind(" ") + 1 or limit
        ranges.append((start, start + cut))
        start += cut
    ranges.append((start, len(text)))
    return ranges


def locate(parts: list[str], text: str) -> list[tuple[int, int]]:
    """Ranges that cover `text`, one for each of the parts that occur in it one after the other."""
    starts = []
    cursor = 0
    for part in parts:
        cursor = text.index(part, cursor)
        starts.append(cursor)
        cursor += len(part)
    if not starts:
        return [(0, len(text))]
    starts[0] = 0
    return list(zip(starts, [*starts[1:], len(text)], strict=True))


def trace(source: str, spoken: str) -> list[int]:
    """For each character of `spoken`, and its end, the position in `source` that it stands for.

    `spoken` is `source` with some things written out: in "at 9:30" → "at nine thirty" the words are followed exactly,
    and what was replaced is spread evenly over what replaced it. Positions never decrease.
    """
    ours = [(m.start(), m.end()) for m in _UNITS.finditer(source)]
    theirs = [(m.start(), m.end()) for m in _UNITS.finditer(spoken)]
    matcher = SequenceMatcher(
        None, [source[a:b].lower() for a, b in ours], [spoken[a:b].lower() for a, b in theirs], autojunk=False
    )
    result = [0] * (len(spoken) + 1)
    for _, i, j, k, m in matcher.get_opcodes():
        a, b = _extent(ours, i, j, len(source))
        c, d = _extent(theirs, k, m, len(spoken))
        for position in range(c, d):
            result[position] = a + (b - a) * (position - c) // (d - c)
    result[len(spoken)] = len(source)
    return result


def _extent(units: list[tuple[int, int]], first: int, end: int, length: int) -> tuple[int, int]:
    start = units[first][0] if first < len(units) else length
    return (start, units[end - 1][1]) if end > first else (start, start)


def words_cover(sounding: list[tuple[int, int]], text: str) -> list[tuple[int, int, int]]:
    """(start, end of the letters, end) for each sounding range; together they cover `text`.

    What stands between two words belongs to the one that it touches: "costs $45, or" → "costs ", "$45, ", "or".
    """
    result: list[tuple[int, int, int]] = []
    begin = 0
    for index, (_, letters) in enumerate(sounding):
        end = len(text)
        if index + 1 < len(sounding):
            following = max(letters, sounding[index + 1][0])
            blank = max(text.rfind(c, letters, following) for c in " \t\n")
            end = max(begin, blank + 1 if blank >= 0 else following)
        result.append((begin, min(max(begin, letters), end), end))
        begin = end
    return result


_PAUSES = {".": 0.28, "!": 0.28, "?": 0.32, "…": 0.40, ":": 0.20, ";": 0.20, "—": 0.20, "–": 0.20, ",": 0.14}
_NO_PAUSE = 0.06


def pause_after(text: str) -> float:
    """Seconds of silence that a speaker makes after `text`, from its last punctuation."""
    bare = text.rstrip(_CLOSING)
    return _PAUSES["…"] if bare.endswith("...") else _PAUSES.get(bare[-1:], _NO_PAUSE)
