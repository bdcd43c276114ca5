"""A sentence as hibari reads it: phonemes, and which part of the sentence each word of them comes from."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hibari.g2p.normalize import normalize

from tts_worker.text import trace

LONGEST = 400
"""Phonemes that the model speaks well at once."""
_SILENT = frozenset(' ;:,.!?—…"()“”ˈˌː')


@dataclass(frozen=True)
class Word:
    """A stretch of phonemes, and the range of the sentence that it says."""

    first: int
    """The blank in front is part of it: the network begins to form a word there."""
    end: int
    start: int
    stop: int


@dataclass(frozen=True)
class Reading:
    """How a sentence is spoken."""

    phonemes: str
    words: tuple[Word, ...]
    """The sounding ones, in order."""

    def parts(self) -> list[tuple[int, int]]:
        """Ranges of `phonemes` of at most `LONGEST`, cut between words. One in nearly every case."""
        if len(self.phonemes) <= LONGEST:
            return [(0, len(self.phonemes))]
        cuts = [0]
        for word in self.words[1:]:
            if word.end - cuts[-1] > LONGEST:
                cuts.append(word.first)
        return list(pairwise([*cuts, len(self.phonemes)]))


def read(g2p: Any, sentence: str) -> Reading:
    """The reading of `sentence`, by hibari's `G2P`. Empty if there is nothing to say."""
    try:
        spoken = normalize(sentence)
        tokens = g2p.phonemize_tokens(g2p.tokenize(spoken))
    except (LookupError, ValueError, TypeError, AttributeError):
        # Dictionary and number rules are written for text; letters and single digits can always be read.
        spoken = " ".join(c if c.isascii() and c.isalnum() else " " for c in sentence)
        tokens = g2p.phonemize_tokens(g2p.tokenize(spoken))
    return _assemble(sentence, spoken, tokens)


def _assemble(sentence: str, spoken: str, tokens: list[Any]) -> Reading:
    origin = trace(sentence, spoken)
    phonemes = ""
    words = []
    cursor = 0
    for token in tokens:
        sounds = token.phonemes or ""
        found = spoken.find(token.text, cursor)
        start = found if found >= 0 else cursor
        cursor = min(len(spoken), start + len(token.text)) if found >= 0 else cursor
        if any(c not in _SILENT for c in sounds):
            first = len(phonemes) - phonemes.endswith(" ")
            words.append(Word(first, len(phonemes) + len(sounds), origin[start], origin[cursor]))
        phonemes += sounds + (" " if token.whitespace else "")
    return Reading(phonemes.rstrip(), tuple(words))
