"""PURE: the typographic clean-up that a model needs which reads every byte it is given."""

import re
import unicodedata

from tts_worker.normalise.aligned import Aligned

_JOINERS = "\u200c\u200d"
_SPOKEN = frozenset("°℃℉€$£₹¥©®™")
_ENDS = ".!?…।॥؟۔:;,،؛–—"
_SINGLE = re.compile(
    r"(?<![\w'’])[‘‚‛‹'](?=\S)([^'‘’‚‹›\n]{1,120}(?:(?<=[^\W_])[’'](?=[^\W_])[^'‘’‚‹›\n]{1,120}){0,4})(?<=\S)[’‘'›](?!\w)"
)
_OPENING = re.compile(r"\s*[(\[{]\s*")
_CLOSING = re.compile(r"\s*[)\]}](?:\s*[)\]}])*\s*(?P<next>[.!?…,;:।؟،؛–—]|\Z)?")
_RUNS = re.compile(
    r"([!?,;:।؟،])(?:\s?\1)+|(?P<mixed>[!?]{2,})|(?P<dots>\.{2,})|(?P<dashes>\s*(?:[–—]\s*|-{2,}\s*){2,}|\s*-{2,}\s*)"
)
_LEFT_OVER = re.compile(r"[*`|~^\\<>_]+")
_BLANKS = re.compile(r"\s+")
_BEFORE_MARK = re.compile(r" +(?=[.,…،](?:\s|\Z))")


def fold(text: Aligned) -> Aligned:
    """Without what cannot be seen or spoken; digits of every script as those of ASCII."""
    edits = []
    for position, character in enumerate(text.text):
        folded = _folded(character, text.text[position - 1 : position], text.text[position + 1 : position + 2])
        if folded != character:
            edits.append((position, position + 1, folded))
    return text.edited(edits)


def _folded(character: str, before: str, behind: str) -> str:
    if (character.isascii() and character.isprintable()) or character in "\n\r\t":
        return character
    kind = unicodedata.category(character)
    if kind == "Nd":
        return str(unicodedata.digit(character))
    if character in _JOINERS:
        joins = (
            before and behind and unicodedata.category(before)[0] in "LM" and unicodedata.category(behind)[0] in "LM"
        )
        return character if joins else ""
    if kind in ("Cf", "Cs") or "\ufe00" <= character <= "\ufe0f":
        return ""
    if (kind == "So" and character not in _SPOKEN) or kind in ("Cc", "Cn", "Co", "Sk"):
        return " "
    return "\n" if kind in ("Zl", "Zp") else character


def tidy(text: Aligned, full_stop: str) -> Aligned:
    """Brackets as dashes, no decorative quotes, repeated marks once, single blanks, and an end."""
    text = text.sub(_LEFT_OVER, " ").sub(_BLANKS, " ")
    text = text.sub(_OPENING, lambda found: " – " if text.text[: found.start()].strip() else "")
    text = text.sub(_CLOSING, _closed)
    text = _unquoted(text)
    for _ in range(len(text.text) + 1):
        before = text.text
        text = text.sub(_RUNS, _once).sub(_BLANKS, " ").sub(_BEFORE_MARK, "")
        if text.text == before:
            break
    return _ended(text, full_stop)


def _closed(found: re.Match[str]) -> str:
    mark = found["next"]
    return " – " if mark in (None, "–", "—") else mark


def _unquoted(text: Aligned) -> Aligned:
    edits = []
    for found in _SINGLE.finditer(text.text):
        edits += [(found.start(), found.start(1), ""), (found.end(1), found.end(), "")]
    return text.edited(edits)


def _once(found: re.Match[str]) -> str:
    if found["mixed"]:
        return "".join(mark for mark in "?!" if mark in found["mixed"])
    if found["dots"]:
        return "..." if len(found["dots"]) > 2 else "."
    return " – " if found["dashes"] else found[1]


def _ended(text: Aligned, full_stop: str) -> Aligned:
    start = len(text.text) - len(text.text.lstrip(" –—,;:।،؛")) if text.text.strip() else 0
    end = len(text.text.rstrip())
    text = text.edited([(0, start, ""), (end, len(text.text), "")] if start < end else [(0, len(text.text), "")])
    bare = text.text.rstrip("\"'”’»›“")
    last = bare[-1:]
    if last and last in _ENDS:
        return text
    return text.edited([(len(text.text), len(text.text), full_stop)])
