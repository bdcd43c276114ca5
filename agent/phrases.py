"""Text as it is written → phrases that can be spoken on their own. A phrase is a slice of it: spans need no map."""

import re
from dataclasses import dataclass

# A sentence has ended where one of these is followed by a space; a clause, where a comma or its like is.
_SENTENCE = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)")
_CLAUSE = re.compile(r"[,;:–—](?=\s)")
# A full stop after one of these does not end a sentence, nor does one after a single letter ("J. Smith").
_ABBREVIATION = re.compile(r"(?i)(?:^|[\s(])(?:dr|mr|mrs|ms|prof|st|no|vs|approx|e\.g|i\.e|ext|jr|sr|[a-z])\.$")
# "10 a.m. on Tuesday" goes on, "at 10 a.m. We" does not.
_MERIDIEM = re.compile(r"(?i)\b[ap]\.m\.$")


@dataclass(frozen=True, slots=True)
class Phrase:
    """`text` is `answer[start:end]`, in Unicode code points."""

    text: str
    start: int
    end: int


class Phraser:
    """Cuts one answer. The first phrase may end at a clause, so that speech begins early; later ones are sentences.

    `first_clause`: shortest first phrase that a comma may end. `longest`: a sentence beyond it is cut at a comma or
    a space, because a speech engine gives nothing before a phrase is complete.
    """

    def __init__(self, first_clause: int = 20, longest: int = 240) -> None:
        self._first_clause = first_clause
        self._longest = longest
        self._text = ""
        self._start = 0
        self._count = 0

    @property
    def text(self) -> str:
        """The answer so far."""
        return self._text

    def feed(self, delta: str) -> list[Phrase]:
        """The phrases that `delta` completes."""
        self._text += delta
        phrases = []
        while (end := self._cut()) is not None:
            phrases += self._take(end)
        return phrases

    def flush(self) -> list[Phrase]:
        """The rest: no more text follows."""
        return self._take(len(self._text))

    def _take(self, end: int) -> list[Phrase]:
        raw = self._text[self._start : end]
        start = self._start + len(raw) - len(raw.lstrip())
        self._start = end
        text = raw.strip()
        if not text:
            return []
        self._count += 1
        return [Phrase(text, start, start + len(text))]

    def _cut(self) -> int | None:
        """Where the next phrase ends, if that is known by now."""
        for match in _SENTENCE.finditer(self._text, self._start):
            if self._ends_sentence(match.end()):
                return match.end()
        if self._count == 0:
            for match in _CLAUSE.finditer(self._text, self._start):
                if match.end() - self._start >= self._first_clause:
                    return match.end()
        if len(self._text) - self._start > self._longest:
            return self._forced()
        return None

    def _ends_sentence(self, end: int) -> bool:
        before = self._text[self._start : end]
        if before.endswith(("!", "?", "…")):
            return True
        after = self._text[end:].lstrip()
        if _MERIDIEM.search(before):
            return bool(after) and not after[0].islower() and not after[0].isdigit()
        return not _ABBREVIATION.search(before)

    def _forced(self) -> int:
        limit = self._start + self._longest
        commas = [m.end() for m in _CLAUSE.finditer(self._text, self._start, limit)]
        if commas:
            return commas[-1]
        space = self._text.rfind(" ", self._start + 1, limit)
        return space if space > self._start else limit
