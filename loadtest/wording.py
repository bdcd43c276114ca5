"""PURE: comparing what was said with what was understood."""

import re
from functools import cache

import jiwer
from whisper_normalizer.english import EnglishTextNormalizer

_CLOCK = re.compile(r"\b(\d{1,2})[:.](\d\d)(?!\d)")
_HALF_DAY = re.compile(r"(?<![a-z])([ap])\.?\s?m\b\.?", re.IGNORECASE)


@cache
def _normalizer() -> EnglishTextNormalizer:
    return EnglishTextNormalizer()


def normal(text: str) -> str:
    """Words as they are compared: small letters, numbers as digits, no punctuation; "10:30 a.m." is "1030 am"."""
    text = _HALF_DAY.sub(r" \1m", _CLOCK.sub(r"\1\2", text))
    words: str = _normalizer()(text)
    return words


def word_error(said: str, heard: str) -> float:
    """Word error rate of `heard`, 0 and up; 1 where nothing was said but something heard."""
    reference, hypothesis = normal(said), normal(heard)
    if not reference:
        return float(bool(hypothesis))
    return float(jiwer.wer(reference, hypothesis))


def contains(heard: str, phrase: str) -> bool:
    """Whether the words of `phrase` stand in `heard`, one after the other."""
    return f" {normal(phrase)} " in f" {normal(heard)} "
