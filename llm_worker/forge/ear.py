"""What a simulated caller makes of the front desk's words: what is asked, which days, times and names are said. PURE.

It reads any wording, not only that of this package, since callers talk to any model: rules on the last question, and
every day and time in the text.
"""

import re
from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum
from functools import lru_cache

from llm_worker.backends.frontdesk import hear
from llm_worker.backends.frontdesk.words import MONTHS
from llm_worker.forge import spelling
from llm_worker.forge.grammar import load
from llm_worker.forge.hours import WEEKDAYS


class Ask(StrEnum):
    """What the front desk wants to hear next."""

    NAME = "name"
    SPELL = "spell"
    DAY = "day"
    TIME = "time"
    WHICH = "which"
    CONFIRM = "confirm"
    CHANGE = "change"
    NUMBER = "number"
    SAME_NUMBER = "same_number"
    MESSAGE = "message"
    OFFER_MESSAGE = "offer_message"
    MORE = "more"
    REPEAT = "repeat"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Heard:
    """One turn of the front desk, as a caller takes it."""

    text: str
    ask: Ask
    dates: tuple[date, ...] = ()
    weekdays: tuple[int, ...] = ()
    """Of all days that are named; 0 is Monday."""
    times: tuple[time, ...] = ()
    refused: bool = False
    """Something cannot be had."""
    missed: bool = False
    """The front desk did not understand."""
    done: bool = False
    """It says that something has been booked, moved, cancelled or passed on."""
    goodbye: bool = False

    def names(self, name: str) -> bool | None:
        """Whether the text has the name; None when it names nobody."""
        if spelling.plain(name) in spelling.plain(self.text):
            return True
        said = named(self.text)
        if not said:
            return None
        return any(spelling.matches(name, [each]) for each in said)


_RULES = load("ear")
_ASKS = tuple((Ask(name), re.compile("|".join(patterns))) for name, patterns in _RULES["asks"].items())
_MISSED, _REFUSED, _DONE, _GOODBYE = (
    re.compile("|".join(_RULES[key]), re.IGNORECASE) for key in ("missed", "refused", "done", "goodbye")
)
_NAMED = re.compile(
    r"(?:\bfor|\bunder|\bfrom|\bname is|^|[.?!]|So,|repeat that,|I have)\s+((?:[A-Z][\w'’-]+\s+){1,3}[A-Z][\w'’-]+)"
    r"(?=[,.?!]|\s(?:on|at|to|the|and|is|moves)\b|$)"
)
_NOT_NAMES = frozenset(
    {
        *(day.capitalize() for day in WEEKDAYS),
        *(month.capitalize() for month in MONTHS),
        "Doctor",
        "I",
        "A",
        "The",
        "You",
    }
)
_DATE = re.compile(
    rf"\b(?P<m1>{'|'.join(MONTHS)}) (?:the )?(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?\b(?! ?(?:am|pm|oclock))"
    rf"|\b(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m2>{'|'.join(MONTHS)})\b"
    r"|\b(?P<iso>\d{4}-\d\d-\d\d)\b",
    re.I,
)
_TIME = re.compile(
    r"\b(?P<h1>\d{1,2})[:.](?P<n1>\d\d)\s*(?P<p1>[ap])?\.?m?\b|\b(?P<h2>\d{1,2})\s*(?P<p2>[ap])\.?m\b"
    r"|\b(?P<h3>\d{1,2}) oclock|\b(?P<noon>noon|midday)\b"
    r"|\bhalf past (?P<h4>\d{1,2})\b|\bquarter (?P<q>past|to) (?P<h5>\d{1,2})\b"
    r"|\b(?P<h6>\d{1,2}) (?P<n6>15|30|45)\b(?:\s*(?P<p6>[ap])\.?m\b)?",
    re.I,
)


@lru_cache(maxsize=4096)
def listen(text: str, today: date) -> Heard:
    """The turn as a caller takes it; dates without a year are the nearest to come."""
    flat = re.sub(r"\s+", " ", text.replace("’", "'")).strip()
    spoken = hear.words(flat)
    return Heard(
        text=flat,
        ask=_ask(flat),
        dates=tuple(dict.fromkeys(_dates(spoken, flat, today))),
        weekdays=tuple(number for number, name in enumerate(WEEKDAYS) if re.search(rf"\b{name}s?\b", spoken)),
        times=tuple(dict.fromkeys(_times(spoken))),
        refused=bool(_REFUSED.search(flat)) and not _MISSED.search(flat),
        missed=bool(_MISSED.search(flat)),
        done=bool(_DONE.search(flat)),
        goodbye=bool(_GOODBYE.search(flat)) and "?" not in flat.rsplit(".", 1)[-1],
    )


def _ask(flat: str) -> Ask:
    """What the last question asks for; without a question, what the last sentence does."""
    sentences = re.split(r"(?<=[.?!])\s+", flat)
    questions = [sentence for sentence in sentences if "?" in sentence] or sentences[-1:]
    last = questions[-1].lower() if questions else ""
    around = " ".join(sentences[-2:]).lower()
    for ask, pattern in _ASKS:
        if pattern.search(last) or (ask in (Ask.TIME, Ask.OFFER_MESSAGE) and pattern.search(around)):
            return ask
    return Ask.REPEAT if _MISSED.search(flat) else Ask.OTHER


def named(text: str) -> list[str]:
    """Names of people that a text seems to read back."""
    return [
        found[1].strip()
        for found in _NAMED.finditer(text)
        if not _NOT_NAMES & set(found[1].split()) and not re.search(r"\b(Street|Road|Practice|Care|Clinic)\b", found[1])
    ]


def _dates(spoken: str, flat: str, today: date) -> list[date]:
    found = []
    for said in [*_DATE.finditer(spoken), *re.finditer(r"\b(?P<iso>\d{4}-\d\d-\d\d)\b", flat)]:
        groups = said.groupdict()
        try:
            if groups["iso"]:
                found.append(date.fromisoformat(groups["iso"]))
                continue
            month = MONTHS.index(str(groups["m1"] or groups["m2"]).lower()) + 1
            day = date(today.year, month, int(groups["d1"] or groups["d2"]))
            found.append(day if (today - day).days < 60 else day.replace(year=today.year + 1))
        except ValueError:
            continue
    return found


def _times(spoken: str) -> list[time]:
    found = []
    for said in _TIME.finditer(_DATE.sub(" # ", spoken)):
        part = said.groupdict()
        if part["noon"]:
            found.append(time(12))
            continue
        hour = int(part["h1"] or part["h2"] or part["h3"] or part["h4"] or part["h5"] or part["h6"])
        minute = int(part["n1"] or part["n6"] or (30 if part["h4"] else 0))
        if part["q"]:
            hour, minute = (hour, 15) if part["q"] == "past" else (hour - 1, 45)
        half = (part["p1"] or part["p2"] or part["p6"] or "").lower()
        if not half and 1 <= hour <= 6:
            half = "p"
        if half == "p" and hour < 12:
            hour += 12
        if half == "a" and hour == 12:
            hour = 0
        if hour < 24 and minute < 60:
            found.append(time(hour, minute))
    return found
