"""Days and times in recognised speech. Text is as `hear.words` leaves it; days are relative to today."""

import re
from dataclasses import dataclass
from datetime import date, time, timedelta
from functools import lru_cache

from llm_worker.backends.frontdesk.practice import WEEKDAYS
from llm_worker.backends.frontdesk.words import MONTHS

_DAY = "|".join(WEEKDAYS)
_MONTH = "|".join(MONTHS)
_NOT = re.compile(r"\b(?:not|instead of|rather than|isn't|can't do|cannot do)(?: on| at| for| the| this| next| to)*$")

_DAYS = re.compile(
    rf"(?P<after_tomorrow>(?:the )?day after tomorrow)"
    rf"|(?P<tomorrow>tomorrow)|(?P<today>today|this morning|this afternoon)"
    rf"|(?:(?:{_DAY}) )?(?:the )?(?P<nth1>\d{{1,2}}(?:st|nd|rd|th)|second|\d{{1,2}})(?: of)? (?P<month1>{_MONTH})\b"
    rf"|(?:(?:{_DAY}) )?(?P<month2>{_MONTH}) (?:the )?(?P<nth2>\d{{1,2}}(?:st|nd|rd|th)?|second)\b(?! (?:am|pm|oclock))"
    rf"|(?:{_DAY}) (?:the )?(?P<nth3>\d{{1,2}}(?:st|nd|rd|th))\b"
    rf"|(?P<week_on>(?:a )?week (?:on|from) )(?P<day1>{_DAY})\b"
    rf"|(?P<next>next )?(?P<day2>{_DAY})s?\b(?P<next_week> (?:of )?(?:next week|the week after)| week\b)?"
    rf"|(?:the )?(?P<nth4>\d{{1,2}}(?:st|nd|rd|th))\b(?! (?:one|slot|available|option|time))"
    rf"|\bthe (?P<nth5>\d{{1,2}}|second)\b(?! (?:\d|am|pm|oclock|one|slot))"
    rf"|\bin (?P<count>a|\d+) (?P<unit>days?|weeks?)(?: time)?\b"
)

_FRACTIONS = {"half": 30, "quarter": 15}


def _part(group: int) -> str:
    """What can follow an hour: am, pm, or a part of the day."""
    return (
        rf"(?: (?P<half{group}>am|pm)"
        rf"|(?: oclock)?(?: (?:in the|at) (?P<part{group}>morning|afternoon|evening|night)))?"
    )


_TIMES = re.compile(
    rf"(?P<noon>\b(?:at )?(?:12 )?(?:noon|midday)\b)"
    rf"|\b(?:a )?(?P<past>half|quarter|5|10|15|20|25)(?: minutes?)? (?:past|after) (?P<h1>\d{{1,2}})\b{_part(1)}"
    rf"|\b(?:a )?(?P<to>quarter|5|20|25)(?: minutes?)? (?:to|of|till|before) (?P<h2>\d{{1,2}})\b{_part(2)}"
    rf"|\bhalf (?P<h3>\d{{1,2}})\b"
    rf"|\b(?P<h4>\d{{1,2}}):(?P<m4>\d\d)\b{_part(4)}"
    rf"|(?<!\d )\b(?P<h5>\d{{1,2}}) (?P<m5>[0-5]\d|(?:oh|o|0) \d)\b(?! \d){_part(5)}"
    rf"|\b(?P<h6>\d{{1,2}})(?P<m6>[0-5]\d)\b(?! \d){_part(6)}"
    rf"|\b(?P<h7>\d{{1,2}}) (?P<half7>am|pm)\b"
    rf"|\b(?P<h8>\d{{1,2}}) (?:oclock )?(?:in the|at) (?P<part8>morning|afternoon|evening|night)\b"
    rf"|\b(?P<h9>\d{{1,2}}) oclock\b"
    rf"|\b(?:after|later than|not before) (?P<h14>\d{{1,2}})\b(?!:| \d){_part(14)}"
    rf"|\b(?:at|about|around|by|it|for|to|than|with|do|past) (?P<h10>\d{{1,2}})\b"
    rf"(?!:| (?:\d|days?|weeks?|people|minutes?)){_part(10)}"
    rf"|\b(?P<h13>\d{{1,2}})(?= or \d)"
    rf"|^(?:the )?(?P<h11>\d{{1,2}})(?: (?:please|one|is fine|works|sounds good|would be .*))?$"
    rf"|\b(?P<h12>\d{{1,2}})$"
)
# A word that the recogniser writes for a number, when a time was asked for and there is nothing else in the answer.
_HOMOPHONES = {"to": "2", "too": "2", "for": "4", "ate": "8", "won": "1", "free": "3", "tan": "10", "nein": "9"}


@dataclass(frozen=True, slots=True)
class When:
    """What was said about the time of an appointment; None where nothing was. `after` is a wish, not a time."""

    day: date | None = None
    at: time | None = None
    after: time | None = None

    def __bool__(self) -> bool:
        return self != When()


@lru_cache(maxsize=1024)  # as for hear.words
def find(spoken: str, today: date, time_asked: bool = False) -> When:
    """Day and time of a plain (unpunctuated) text. Of several the last counts, of "A or B" the first; what is denied
    ("not Tuesday") does not. `time_asked` lets a number alone be a time."""
    day, rest = _day(spoken, today)
    if time_asked:
        bare = re.sub(r"^(?:at|make it|maybe|let's say|um) | please$", "", spoken.strip()).split()
        if bare and bare[0] in _HOMOPHONES and len(bare) <= 2 and (len(bare) == 1 or bare[1] in {"30", "pm", "am"}):
            rest = f"at {' '.join([_HOMOPHONES[bare[0]], *bare[1:]])}"
    at, after = _time(rest, time_asked)
    return When(day, at, after)


def split_move(spoken: str) -> tuple[str, str]:
    """A wish to move as two texts: where the appointment is, and where it shall go. Either can be empty."""
    if said := re.search(r"\bfrom (?P<old>.+?) (?:to|until|onto) (?P<new>.+)", spoken):
        return said["old"], said["new"]
    for cut in re.finditer(
        rf"\b(?:to|until|onto|for)\b(?= (?:next |this |the )?(?:{_DAY}|{_MONTH}|tomorrow|today|\d))", spoken
    ):
        old, new = spoken[: cut.start()], spoken[cut.end() :]
        if cut[0] != "for" or not re.search(r"appointment (?:is )?$", old):
            return old, new
    return spoken, ""


def _day(spoken: str, today: date) -> tuple[date | None, str]:
    """The day, and the text without what named it (so that "the 24th" is not read as a time)."""
    found: list[tuple[int, int, date]] = []
    rest = spoken
    for said in _DAYS.finditer(spoken):
        day = _meant(said, today)
        if day is None:
            continue
        rest = rest[: said.start()] + "#" * (said.end() - said.start()) + rest[said.end() :]
        if not _NOT.search(spoken[: said.start()].rstrip()):
            found.append((said.start(), said.end(), day))
    if not found:
        return None, rest
    return found[_choice(spoken, [(start, end) for start, end, _ in found])][2], rest


def _choice(spoken: str, spans: list[tuple[int, int]]) -> int:
    """Index of the mention that counts."""
    if len(spans) > 1 and re.search(r"\bor\b", spoken[spans[-2][1] : spans[-1][0]]):
        return len(spans) - 2
    return len(spans) - 1


def _meant(said: re.Match[str], today: date) -> date | None:
    if said["after_tomorrow"]:
        return today + timedelta(days=2)
    if said["tomorrow"]:
        return today + timedelta(days=1)
    if said["today"]:
        return today
    if month := said["month1"] or said["month2"]:
        return _of_month(_number(said["nth1"] or said["nth2"]), MONTHS.index(month) + 1, today)
    if nth := said["nth3"] or said["nth4"] or said["nth5"]:
        return _next_number(_number(nth), today)
    if count := said["count"]:
        days = (1 if count == "a" else int(count)) * (7 if said["unit"].startswith("week") else 1)
        return today + timedelta(days=days) if days <= 366 else None
    weekday = WEEKDAYS.index(said["day1"] or said["day2"])
    ahead = (weekday - today.weekday() - 1) % 7 + 1  # 1 to 7: today's own name means a week from now
    if said["week_on"]:
        ahead += 7
    elif said["next"] or said["next_week"]:
        # "Next Tuesday" is the Tuesday of the calendar week after this one.
        ahead = weekday - today.weekday() + 7
    return today + timedelta(days=ahead)


def _number(nth: str) -> int:
    return 2 if nth == "second" else int(re.sub(r"\D", "", nth))


def _of_month(number: int, month: int, today: date) -> date | None:
    """A date just gone by is meant as such (and refused), one long gone is next year's."""
    try:
        day = date(today.year, month, number)
        return day if (today - day).days <= 60 else date(today.year + 1, month, number)
    except ValueError:
        return None


def _next_number(number: int, today: date) -> date | None:
    for ahead in range(62):
        day = today + timedelta(days=ahead)
        if day.day == number:
            return day
    return None


def _time(rest: str, asked: bool) -> tuple[time | None, time | None]:
    """The time, and the earliest one wished for ("after three", "in the afternoon")."""
    found: list[tuple[int, int, time]] = []
    after = None
    for said in _TIMES.finditer(rest):
        if said["h12"] and not asked and not re.search(r"#[# ]*$|\b(?:no|not \d+|make it)\s*$", rest[: said.start()]):
            continue
        if (said["h11"] or said["h12"]) and not asked and not rest.strip(" #"):
            continue
        at = _clock(said, rest)
        if at is None:
            continue
        before = rest[: said.start()].rstrip()
        if said["h14"] or re.search(r"\b(?:after|later than|not before)$", before):
            after = at
        elif not _NOT.search(before):
            found.append((said.start(), said.end(), at))
    if after is None and re.search(r"\b(?:afternoon|evening)\b", rest):
        after = time(12)
    if not found:
        return None, after
    return found[_choice(rest, [(start, end) for start, end, _ in found])][2], after


def _clock(said: re.Match[str], text: str) -> time | None:
    groups = {key: value for key, value in said.groupdict().items() if value}
    if "noon" in groups:
        return time(12)
    hour = next(int(value) for key, value in groups.items() if re.fullmatch(r"h\d+", key))
    half = next((value for key, value in groups.items() if key.startswith("half")), "")
    part = next((value for key, value in groups.items() if key.startswith("part")), "")
    minute = 0
    if "past" in groups:
        minute = _FRACTIONS.get(groups["past"]) or int(groups["past"])
    elif "to" in groups:
        minute = 60 - (_FRACTIONS.get(groups["to"]) or int(groups["to"]))
        hour -= 1
    elif "h3" in groups:
        minute = 30
    elif digits := next((value for key, value in groups.items() if re.fullmatch(r"m\d", key)), ""):
        minute = int(re.sub(r"\D", "", digits))
    if not part and re.search(r"\b(?:afternoon|evening)\b", text) and "half" not in said[0]:
        part = "afternoon"
    return _time_of_day(hour, minute, half or ("am" if part == "morning" else "pm" if part else ""))


def _time_of_day(hour: int, minute: int, half: str) -> time | None:
    """Without am or pm, what an office means: 1 to 6 are in the afternoon."""
    if not (0 <= hour <= 23 and 0 <= minute <= 59):
        return None
    if half == "am":
        return time(hour % 12 if hour <= 12 else hour, minute)
    if half == "pm" or 1 <= hour <= 6:
        return time(hour + 12 if hour < 12 else hour, minute)
    return time(hour, minute)
