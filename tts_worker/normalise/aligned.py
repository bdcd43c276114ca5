"""PURE: a text under rewriting that remembers where each of its characters came from."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

Edit = tuple[int, int, str]
"""Start and end of what is replaced, and by what."""
Say = Callable[[re.Match[str]], str | None]
"""What is said for a match; None leaves it as it is."""

_WORD = re.compile(r"\b[^\W\d_]{3,}\b")


@dataclass(frozen=True)
class Aligned:
    """A text, and for each of its characters, and the end, how far the first text is said before it. Never falling."""

    text: str
    origins: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> "Aligned":
        """Nothing was rewritten yet."""
        return cls(text, tuple(range(len(text) + 1)))

    def sub(self, pattern: re.Pattern[str], say: Say | str) -> "Aligned":
        """Every match of `pattern` replaced by what `say` makes of it."""
        edits = []
        for match in pattern.finditer(self.text):
            spoken = say if isinstance(say, str) else say(match)
            if spoken is not None and spoken != match.group():
                edits.append((match.start(), match.end(), spoken))
        return self.edited(edits)

    def edited(self, edits: Iterable[Edit]) -> "Aligned":
        """The text with `edits`, which come in order and do not overlap. What is written out is spread evenly over
        what it stands for; what both begin or end with, and words that are in both, are followed exactly."""
        parts: list[str] = []
        origins: list[int] = []
        done = 0
        for start, end, spoken in (part for edit in edits for part in _split(self.text, *edit)):
            start, end, spoken = _core(self.text, start, end, spoken)
            parts += (self.text[done:start], spoken)
            origins += self.origins[done:start]
            first, last = self.origins[start], self.origins[end]
            origins += [first + (last - first) * index // len(spoken) for index in range(len(spoken))]
            done = end
        if not parts:
            return self
        return Aligned("".join(parts) + self.text[done:], (*origins, *self.origins[done:]))


def _split(text: str, start: int, end: int, spoken: str) -> Iterator[Edit]:
    """The edit as several, between the words that stay: in "22 November 2026" that is one."""
    done = 0
    for word in _WORD.finditer(text, start, end):
        found = re.compile(rf"\b{word.group()}\b").search(spoken, done)
        if found:
            yield start, word.start(), spoken[done : found.start()]
            start, done = word.end(), found.end()
    yield start, end, spoken[done:]


def _core(text: str, start: int, end: int, spoken: str) -> Edit:
    """The edit without the characters that stay at its two ends."""
    first, last = 0, len(spoken)
    while first < last and start < end and text[start] == spoken[first]:
        start, first = start + 1, first + 1
    while first < last and start < end and text[end - 1] == spoken[last - 1]:
        end, last = end - 1, last - 1
    return start, end, spoken[first:last]
