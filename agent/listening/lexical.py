"""What the words say about the end of a turn. PURE, English.

Intonation alone lets through two fifths of sentences cut in the middle; "at", "my" or four digits of a telephone number
at the end tell most of them for nothing. Recognisers put a full stop after everything, so a full stop means nothing
here; dots, dashes and commas at the end mean that more is to come.
"""

import re
from enum import StrEnum
from typing import Literal

Expecting = Literal["yes_no", "name", "phone", "digits", "day", "time"]
"""What the agent's last question asks for."""


class Verdict(StrEnum):
    """Of the words so far."""

    COMPLETE = "complete"
    UNSURE = "unsure"
    INCOMPLETE = "incomplete"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ARTICLES = _words("a an the my your his her its our their this these those some any every each another no")
_PREPOSITIONS = _words(
    "to for at on in of with from by about into onto between until till before after around near under over during "
    "since without towards through as per"
)
_CONJUNCTIONS = _words(
    "and but or nor because so if when while whether than which who whose where what how why that although unless"
)
_AUXILIARIES = _words(
    "am are was were be been being would could should might must may will shall can't won't don't i'm i'd i'll i've "
    "you're we're we'd we'll we've they're it'll i we he she they who's what's where's let's there's it's that's "
    "he's she's isn't doesn't didn't not"
)
_FILLERS = _words(
    "um uh er erm hm hmm mm well like just really very quite maybe perhaps actually basically also please"
)
_OPENS = (_ARTICLES | _PREPOSITIONS | _CONJUNCTIONS | _AUXILIARIES) | _words(
    "um uh er erm hmm well just really very quite maybe perhaps actually basically also next last first second "
    "mister mr mrs ms miss doctor dr number"
)
"""Words after which a sentence goes on."""

_ANSWERS = _words(
    "yes yeah yep yup no nope okay ok sure correct right exactly absolutely definitely certainly fine perfect great "
    "thanks bye goodbye hello hi cheers lovely alright please sorry pardon wrong"
)
_BACKCHANNELS = _words(
    "mm mhm mmhm mm-hm mm-hmm mmm hm hmm uh-huh uhuh uh huh ah oh aha yeah yep yup yes okay ok right sure i see got it "
    "alright good great fine cool nice really true m'hm hmhm huh-uh mhmm ok-okay"
)
_DAYS = _words("monday tuesday wednesday thursday friday saturday sunday today tomorrow")
_TIMES = _words("morning afternoon evening noon midnight o'clock am pm a.m p.m thirty fifteen forty-five")
_DIGITS = {"zero": 1, "oh": 1, "o": 1, "one": 1, "two": 1, "three": 1, "four": 1, "five": 1, "six": 1, "seven": 1}
_DIGITS |= {"eight": 1, "nine": 1, "ten": 2, "double": 1, "triple": 2, "hundred": 2}
_TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
_TEENS = _words("eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")

_PHONE_DIGITS = 7
"""The shortest number people give one another without an area code."""
_LONG_PHONE_DIGITS = 10

# Endings that look open and are not: particles of verbs, and prepositions left behind by a question or a clause.
_CLOSED = re.compile(
    r"\b(hold on|hang on|come on|go on|carry on|go ahead|that's it|that is it|come in|fill in|log in|sign in|drop in"
    r"|move on|call in|be in|get in|so on|what for|come over|coming in|think so|hope so|i am|i can|i do|i will|i would"
    r"|i could|i have|i did|we are|we do|we can|they are|they do|it was|it will|it would|there are|you are|you can"
    r"|of course not|i'm not|not really|why not|or not|rather not|(take|want|do|like|about|with|for|on|than|have) (that|this|those|these)"
    r"|tell me (how|why|when|where|what)|who am i|about it|i said|not yet|the first|the second|the last|the next)$"
)
_LEFT_BEHIND = re.compile(
    r"^(?:(?:and|so|but|well|hello|hi|sorry|okay|um)[, ]+)*(who|what|where|which|how)\b.*\b"
    r"(to|for|at|on|in|of|with|from|by|about|is|are|was|open|cost)$"
)
# Endings that look closed and are not: what is named, asked for or handed over is still to come.
_OPEN = re.compile(
    r"(\b(name|number|address|birthday|birth|date|email|code|postcode|question|problem|reason|surname|appointment)"
    r" (is|was|would be)"
    r"|^(yes|no|yeah|well|okay|so|and|but|um|,| )*(that|this|it|there|which|what|here|who)( is|'s)?"
    r"|\b(i|we)('d| would| should| could)? (really )?(like|want|need|wanted|prefer|think|wonder|guess|mean|believe|was wondering)"
    r"|\b(tell|give|show|send|let|help) (me|us)|\bi (would|could|should|will|can|do|just|also)( not)?"
    r"|\b(could|can|would|may|do|did|are|is|should|have|will) (i|you|we|they|he|she|it|there)"
    r"|\b(to|can|could|i'll|and|please|want to|need to) (make|have|get|see|ask|know|bring|book|change|speak|talk|find|give|say|take|arrange|schedule|reschedule|move|check)"
    r"|\b(looking|calling|asking|waiting|ringing|phoning|wondering|trying|going|able|instead|because of|out|kind|sort|a lot|couple)"
    r"|\b(at|for|from|until|till) (half|quarter|a quarter)|\bhalf past|\bquarter (past|to)|\bdouble|\btriple|\bextension"
    r"|\b(is|was|are|were|has|have|had|does|do|did))$"
)
_COURTESY = re.compile(
    r"\b(please|thanks|thank you|thank you very much|thanks a lot|goodbye|bye|bye bye|that's all|that is all|that's right"
    r"|that is right|that's correct|that is correct|that's fine|that is fine|that works|that's wrong|good morning|good evening)$"
)
_QUESTION = re.compile(
    r"^(?:(?:and|so|but|well|hello|hi|sorry|okay|um|yes|no|oh|please|excuse me)[, ]+)*"
    r"(who|what|where|which|how|when|why|whose|can|could|would|do|does|did|is|are|will|may|have|has|should|am)\b"
)
_NAME_GIVEN = re.compile(
    r"\b(?:name is|name's|i am|i'm|this is|it's|it is|under|called|speaking)\s+(?P<name>[a-z' -]+)$"
)


def verdict(text: str, expecting: Expecting | None = None) -> Verdict:
    """Whether `text`, the recogniser's words since the turn began, is a finished turn."""
    said = _plain(text)
    if not said:
        return Verdict.UNSURE
    words = said.replace(",", "").split()
    if re.search(r"(\.\.\.|…|,|-|–|—|:|;)\s*$", text):
        return Verdict.INCOMPLETE
    asked = _asked(said, words, expecting)
    if asked is not None:
        return asked
    if all(word in _ANSWERS for word in words) or _COURTESY.search(said):
        return Verdict.COMPLETE
    if _CLOSED.search(said):
        return Verdict.UNSURE if len(words) < 2 else Verdict.COMPLETE
    if _LEFT_BEHIND.search(said):
        return Verdict.COMPLETE if text.rstrip().endswith("?") and len(words) > 2 else Verdict.INCOMPLETE
    if words[-1] in _OPENS or _OPEN.search(said):
        return Verdict.INCOMPLETE
    return _by_shape(said, words)


def is_backchannel(text: str) -> bool:
    """Whether the words only say "I am listening": "mm-hm", "yeah, okay". Not for an empty text."""
    words = _plain(text).replace(",", "").split()
    return 0 < len(words) <= 4 and all(word in _BACKCHANNELS for word in words)


def digits_in(text: str) -> int:
    """How many digits have been said, as figures or as words: 7 in "555 one two double three"."""
    count = 0
    for word in _plain(text).replace(",", "").split():
        if word in _DIGITS:
            count += _DIGITS[word]
        elif word in _TENS or word in _TEENS:
            count += 2
        else:
            count += sum(character.isdigit() for character in word)
    return count


def _plain(text: str) -> str:
    """Lower case; commas stay, because they part a courtesy from a sentence."""
    lowered = text.lower().replace("’", "'")
    return re.sub(r"\s+", " ", re.sub(r"[^\w', -]|\s-|-\s|-$", " ", lowered)).strip(" ,")


def _asked(said: str, words: list[str], expecting: Expecting | None) -> Verdict | None:
    """By what was asked for; None where that decides nothing."""
    digits = digits_in(said)
    number_told = bool(re.search(r"\b(number|phone|mobile|cell|reach me)\b", said)) and digits > 0
    if expecting in ("phone", "digits") or number_told:
        return _by_digits(digits, words, expecting)
    if expecting == "name":
        return _by_name(said, words)
    if expecting == "yes_no" and words[0] in _ANSWERS and len(words) <= 2 and words[-1] not in _OPENS:
        return Verdict.COMPLETE
    if expecting in ("day", "time") and (words[-1] in _DAYS | _TIMES or said[-1].isdigit()):
        return Verdict.COMPLETE
    return None


def _by_digits(digits: int, words: list[str], expecting: Expecting | None) -> Verdict | None:
    if digits == 0:
        return None
    if words[-1] in ("double", "triple") or words[-1] in _OPENS:
        return Verdict.INCOMPLETE
    if expecting == "digits":  # how many is not known here
        return Verdict.UNSURE
    if digits < _PHONE_DIGITS:
        return Verdict.INCOMPLETE
    return Verdict.COMPLETE if digits >= _LONG_PHONE_DIGITS or digits == _PHONE_DIGITS else Verdict.UNSURE


def _by_name(said: str, words: list[str]) -> Verdict | None:
    """People give a first name, then a family name, often with a breath between them."""
    if words[-1] in _OPENS or _OPEN.search(said):
        return Verdict.INCOMPLETE
    given = _NAME_GIVEN.search(said)
    count = len(given["name"].split()) if given else len(words)
    return Verdict.COMPLETE if count >= 2 else Verdict.UNSURE


def _by_shape(said: str, words: list[str]) -> Verdict:
    if words[-1] in _DAYS and len(words) <= 3 and words[0] not in _ANSWERS:
        return Verdict.UNSURE  # often followed by the hour
    if _NAME_GIVEN.search(said) and re.search(r"\bname('s| is)\b", said) and len(_after_name(said)) < 2:
        return Verdict.UNSURE
    if _QUESTION.match(said):
        return Verdict.COMPLETE if len(words) >= 4 else Verdict.UNSURE
    return Verdict.COMPLETE if len(words) >= 4 else Verdict.UNSURE


def _after_name(said: str) -> list[str]:
    given = _NAME_GIVEN.search(said)
    return given["name"].split() if given else []
