"""PURE: markdown flattened into sentences."""

import re

from tts_worker.normalise.aligned import Aligned

_NO_END = r"(?<![.!?…:;,।؟\s])"
_ITEM = r"[ \t]*(?:[-*+•]|[0-9]{1,3}[.)])[ \t]"
_STEPS: list[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern, re.MULTILINE), spoken)
    for pattern, spoken in (
        (r"\r\n?", "\n"),
        (r"^[ \t]*(?:```|~~~)[^\n]*\n?", ""),
        (r"^[ \t]*(?:[-*_][ \t]*){3,}$", ""),
        (r"^[ \t]*\|?(?:[ \t]*:?-{3,}:?[ \t]*\|)+[ \t]*(?::?-{3,}:?)?[ \t]*$", ""),
        (r"^[ \t]*(?:>[ \t]?)+", ""),
        (rf"^([ \t]{{0,3}}#{{1,6}}[ \t][^\n]*?){_NO_END}[ \t]*#*[ \t]*(?=\n|\Z)", r"\1."),
        (r"^[ \t]{0,3}#{1,6}[ \t]+", ""),
        (r"!?\[([^\]\n]*)\]\([^)\s]*(?:[ ]\"[^\"\n]*\")?\)", r"\1"),
        (r"!?\[([^\]\n]*)\]\[[^\]\n]*\]", r"\1"),
        (r"<(https?://[^>\s]+)>", r"\1"),
        (r"</?[a-zA-Z][a-zA-Z0-9]*(?:[ ][^<>\n]*)?/?>", " "),
        (r"\*\*\*(?=\S)([^*\n]+?)(?<=\S)\*\*\*", r"\1"),
        (r"\*\*(?=\S)([^\n]+?)(?<=\S)\*\*", r"\1"),
        (r"(?<![\w_])__(?=\S)([^\n]+?)(?<=\S)__(?![\w_])", r"\1"),
        (r"~~(?=\S)([^\n]+?)(?<=\S)~~", r"\1"),
        (r"(?<![\w*])\*(?=[^\s*])([^*\n]+?)(?<=[^\s*])\*(?![\w*])", r"\1"),
        (r"(?<![\w_])_(?=[^\s_])([^_\n]+?)(?<=[^\s_])_(?![\w_])", r"\1"),
        (r"`+([^`\n]+)`+", r"\1"),
        # the end of a list's item or a paragraph is the end of a sentence, or at least a pause
        (
            rf"^({_ITEM}[^\n]*?){_NO_END}[ \t]*(?=\n{_ITEM})",
            r"\1,",
        ),
        (rf"^({_ITEM}[^\n]*?){_NO_END}[ \t]*(?=\n)", r"\1."),
        (r"^[ \t]*[-*+•][ \t]+", ""),
        (r"(?:(?<=\n)|\A)[ \t]*([0-9]{1,3})[.)][ \t](?=[^\n]*\n[ \t]*[0-9]{1,3}[.)][ \t])", r"\1: "),
        (r"(?<=\n)[ \t]*([0-9]{1,3})[.)][ \t]", r"\1: "),
        (r"(?<=[^\s.!?…:;,|])[ \t]*\|[ \t]*(?=\n)", ","),
        (r"^[ \t]*\|[ \t]*|[ \t]*\|[ \t]*$", ""),
        (r"[ \t]+\|[ \t]+", ", "),
        (rf"{_NO_END}[ \t]*\n[ \t]*\n\s*(?=\S)", ".\n"),
    )
]


def flatten(text: Aligned) -> Aligned:
    """Without marks of emphasis, headings, lists, links and tables; what they set apart is set apart by punctuation."""
    for pattern, spoken in _STEPS:
        text = _replaced(text, pattern, spoken)
    return text


def _replaced(text: Aligned, pattern: re.Pattern[str], spoken: str) -> Aligned:
    """Groups that stay are followed exactly: only what stands around them is edited."""
    edits = []
    for found in pattern.finditer(text.text):
        head, group, tail = spoken.partition(r"\1")
        if group and found.re.groups:
            edits += [(found.start(), found.start(1), head), (found.end(1), found.end(), tail)]
        else:
            edits.append((found.start(), found.end(), spoken))
    return text.edited(edits)
