"""What the words say about the end of a turn. PURE, English.

Intonation alone lets through two fifths of sentences cut in the middle; "at", "my" or four digits of a telephone number
at the end tell most of them for nothing. The recogniser puts a full stop after nearly everything, so a full stop means
nothing here, but its absence does: 1 of 100 finished sentences lacks it, and 1 of 8 halves that read like sentences.
Dots, dashes and commas at the end mean that more is to come.
"""

import re
from enum import StrEnum
from typing import Literal

from agent.listening import lexicon

Expecting = Literal["yes_no", "name", "phone", "digits", "day", "time"]
"""What the agent's last question asks for."""


class Verdict(StrEnum):
    """Of the words so far."""

    COMPLETE = "complete"
    LIKELY = "likely"
    """A sentence, of a kind that is often continued."""
    UNSURE = "unsure"
    INCOMPLETE = "incomplete"


_SHORT_NUMBER, _LONG_NUMBER = 7, 10
"""Digits of a telephone number without and with its area code."""
_MISHEARD = 0.2
"""The last word of 3 of 1000 finished sentences is doubted as much, and of 1 of 15 halves that read like sentences."""
_TRAILS_OFF = re.compile(r"(\.\.\.|…|,|-|–|—|:|;)\s*$")
_CLOSED_BY = re.compile(r"[.?!][\"')]*\s*$")
_NUMBER_TOLD = re.compile(
    r"\b(?:number|phone|mobile|cell|reach me|call me)\b.*\b(?:\d+|zero|oh|one|two|three|four|five|six|"
    r"seven|eight|nine|double)\b"
)


def verdict(text: str, expecting: Expecting | None = None, confidence: float = 1.0) -> Verdict:
    """Whether `text`, the recogniser's words since the turn began, is a finished turn.

    `confidence`, 0 to 1, is the recogniser's in the last of them: of half a word it makes another one that fits. Names
    are doubted as much when they are whole.
    """
    found = _of_words(text, expecting)
    doubted = confidence < _MISHEARD and expecting != "name" and found is not Verdict.INCOMPLETE
    return Verdict.UNSURE if doubted else found


def _of_words(text: str, expecting: Expecting | None) -> Verdict:
    said = _plain(text)
    if not said:
        return Verdict.UNSURE
    if _TRAILS_OFF.search(text):
        return Verdict.INCOMPLETE
    words = said.split()
    asked = _asked(said, words, expecting)
    if asked is not None:
        return asked
    if all(word in lexicon.ANSWERS for word in words) or lexicon.COURTESY.search(said):
        return Verdict.COMPLETE
    found = _by_ending(text, said, words)
    if found is not Verdict.INCOMPLETE and not _CLOSED_BY.search(text):
        return Verdict.UNSURE
    return found


def is_backchannel(text: str) -> bool:
    """Whether the words only say "I am listening": "mm-hm", "yeah, okay". Not for an empty text."""
    words = _plain(text).split()
    return 0 < len(words) <= 4 and all(word in lexicon.BACKCHANNELS for word in words)


def digits_in(text: str) -> int:
    """How many digits have been said, as figures or as words: 7 in "555 one two double three"."""
    count = 0
    for word in _plain(text).split():
        if word in lexicon.UNITS:
            count += 1  # "double" counts the digit that it repeats
        elif word in lexicon.TWO_DIGITS:
            count += 2
        else:
            count += sum(character.isdigit() for character in word)
    return count


def _plain(text: str) -> str:
    """Lower case, no punctuation but apostrophes and hyphens inside words."""
    lowered = text.lower().replace("’", "'")
    return " ".join(re.sub(r"[^\w'-]|(?<!\w)[-']|[-'](?!\w)", " ", lowered).split())


def _asked(said: str, words: list[str], expecting: Expecting | None) -> Verdict | None:
    """By what was asked for; None where that decides nothing."""
    if expecting is None and lexicon.REFERENCE.search(said) and digits_in(said):
        return Verdict.UNSURE
    if expecting in ("phone", "digits") or _NUMBER_TOLD.search(said):
        return _by_digits(digits_in(said), words, expecting)
    if all(digits_in(word) for word in words):  # dictated, or a time
        return Verdict.INCOMPLETE if 3 < len(words) < _SHORT_NUMBER else Verdict.UNSURE
    if expecting == "name":
        return _by_name(said, words)
    if expecting == "yes_no" and words[0] in lexicon.ANSWERS and len(words) == 1:
        return Verdict.COMPLETE
    if expecting in ("day", "time") and (words[-1] in lexicon.DAYS | lexicon.HOURS or said[-1].isdigit()):
        return _by_date(words)
    return None


def _by_date(words: list[str]) -> Verdict:
    """After the day comes the hour, after the hour the minutes, and a longer answer has more often said both."""
    if len(words) == 1 and words[-1] in lexicon.DAYS:
        return Verdict.UNSURE
    whole = len(words) > 3 or not (words[-1] in lexicon.DAYS or digits_in(words[-1]))
    return Verdict.COMPLETE if whole else Verdict.LIKELY


def _by_digits(digits: int, words: list[str], expecting: Expecting | None) -> Verdict | None:
    if digits == 0 or (digits < 3 and len(words) > 3 and not digits_in(words[-1])):  # "I don't have one"
        return None
    if words[-1] in lexicon.OPENS or words[-1] in ("double", "triple", "extension"):
        return Verdict.INCOMPLETE
    if expecting == "digits":  # how many is not known here
        return Verdict.UNSURE
    if digits in (_SHORT_NUMBER, _LONG_NUMBER) or digits > _LONG_NUMBER:
        return Verdict.COMPLETE if digits != _SHORT_NUMBER else Verdict.UNSURE
    return Verdict.INCOMPLETE


def _by_name(said: str, words: list[str]) -> Verdict | None:
    """People give a first name, then a family name, often with a breath between them."""
    if words[-1] in lexicon.OPENS or lexicon.OPEN.search(said) or lexicon.BARE_LINK.search(said):
        return Verdict.INCOMPLETE
    given = lexicon.NAME_GIVEN.search(said)
    name = given["name"] if given else lexicon.NAME_LEAD.sub("", said)
    titled = any(word in lexicon.TITLES for word in words) or "under" in words
    return Verdict.COMPLETE if len(name.split()) >= 2 or titled else Verdict.UNSURE


def _by_ending(text: str, said: str, words: list[str]) -> Verdict:
    if lexicon.BARE_LINK.search(said):
        return Verdict.INCOMPLETE
    if lexicon.AFTERTHOUGHT.search(text) or lexicon.SHORT_ANSWER.search(said):
        return Verdict.COMPLETE
    if lexicon.BARE_SUBJECT.search(said) or lexicon.ANNOUNCED.search(text):
        return Verdict.INCOMPLETE
    if _begins_below(said, words) or lexicon.NEXT_SUBJECT.search(said):
        return Verdict.UNSURE
    if lexicon.CONTINUED.search(said):
        return Verdict.LIKELY if len(words) > 3 else Verdict.UNSURE
    if lexicon.CLOSED.search(said):
        return Verdict.COMPLETE if len(words) > 2 and not lexicon.TIDIED.search(said) else Verdict.UNSURE
    if lexicon.LEFT_BEHIND.search(said):
        if not text.rstrip().endswith("?") or len(words) < 4:
            return Verdict.INCOMPLETE
        return Verdict.COMPLETE if words[-1] in ("open", "cost", "be") or len(words) < 6 else Verdict.LIKELY
    if words[-1] in lexicon.OPENS or lexicon.OPEN.search(said):
        return Verdict.INCOMPLETE
    return _by_shape(said, words)


def _by_number(words: list[str]) -> Verdict:
    """Of numbers at the end: "at nine" may be all, "at nine thirty" is, "in about ten" is not; letters are spelled."""
    last, before = words[-1], words[-2]
    minutes = bool(digits_in(before)) and last in lexicon.MINUTES
    if minutes or before in lexicon.ENDS_HOUR or sum(character.isdigit() for character in last) > 2:
        return Verdict.COMPLETE
    return Verdict.UNSURE if before in lexicon.BEFORE_AMOUNT or len(last) == 1 else Verdict.LIKELY


def _begins_below(said: str, words: list[str]) -> bool:
    """Of "because of the strike" and "if I come by train": the sentence itself is still to come."""
    opening = lexicon.SUBORDINATE.search(said)
    if not opening:
        return False
    clause = said[opening.end() :].split()[:1] != ["of"]
    return sum(word in lexicon.SUBJECTS for word in words) < (2 if clause else 1)


def _by_shape(said: str, words: list[str]) -> Verdict:
    given = lexicon.NAME_GIVEN.search(said)
    if given and "name" in words and len(given["name"].split()) < 2:
        return Verdict.UNSURE
    if lexicon.WANTS_OBJECT.search(said):
        return Verdict.LIKELY
    if lexicon.SUBJECT_ONLY.search(said) and not any(word in lexicon.VERBS for word in words):
        return Verdict.UNSURE
    if len(words) > 1 and (digits_in(words[-1]) or len(words[-1]) == 1):
        return _by_number(words)
    if words[0] in lexicon.ARTICLES and not lexicon.QUESTION.search(said) and len(words) <= 4:
        return Verdict.UNSURE  # a subject without its verb, or an answer: "the quick brown fox"
    return Verdict.COMPLETE if len(words) >= 4 else Verdict.UNSURE
