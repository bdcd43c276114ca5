"""Days, times, numbers and names as callers say them, and as the front desk says them. PURE.

Callers' days follow one reading: a bare weekday is the next one to come, "next Tuesday" that of the calendar week after
this one, "Tuesday week" the Tuesday after the next one to come.
"""

import random
from datetime import date, time

from llm_worker.backends.frontdesk.say import clock, day
from llm_worker.backends.frontdesk.words import MONTHS, ORDINALS, UNITS
from llm_worker.forge.hours import WEEKDAYS

__all__ = [
    "clock",
    "day",
    "digits_aloud",
    "later",
    "number_aloud",
    "part_of_day",
    "spelled",
    "spoken_day",
    "spoken_time",
]

_ORDINAL = tuple(ORDINALS)  # in order: first, second, …
_TENS = {2: "twenty", 3: "thirty", 4: "forty", 5: "fifty"}


def weekday(of: date) -> str:
    """ "Tuesday"."""
    return WEEKDAYS[of.weekday()].capitalize()


def ordinal(number: int) -> str:
    """24 is "twenty-fourth"."""
    if number <= 20:
        return _ORDINAL[number - 1]
    if number == 30:
        return "thirtieth"
    return f"{_TENS[number // 10]}-{_ORDINAL[number % 10 - 1]}"


def spoken_day(wanted: date, today: date, draw: random.Random) -> str:
    """One of the ways in which a caller names the day, such as "on Thursday", "tomorrow", "the third of December"."""
    ways = [_dated, _dated, _numbered]
    ahead = (wanted - today).days
    if 0 < ahead <= 7:
        ways = [_weekday, _weekday, _weekday, *ways]
    if ahead in (0, 1, 2):
        ways += [_near, _near, _near, _twice]
    if 0 <= (wanted - today).days - (7 - today.weekday()) < 7:
        ways += [_next_week, _next_week, _twice]
    if 7 < ahead <= 14:
        ways += [_week_on]
    if ahead in (7, 14, 21):
        ways += [_weeks]
    return draw.choice(ways)(wanted, today, draw)


def _weekday(wanted: date, today: date, draw: random.Random) -> str:
    name = weekday(wanted)
    if (wanted - today).days < 7 - today.weekday():
        return draw.choice([f"on {name}", name, f"this {name}"])
    return draw.choice([f"on {name}", name, f"this coming {name}"])


def _next_week(wanted: date, today: date, draw: random.Random) -> str:
    return draw.choice([f"next {weekday(wanted)}", f"{weekday(wanted)} next week", f"next week on {weekday(wanted)}"])


def _week_on(wanted: date, today: date, draw: random.Random) -> str:
    # "A week on Tuesday" counts from the Tuesday to come.
    return draw.choice([f"{weekday(wanted)} week", f"a week from {weekday(wanted)}", f"a week on {weekday(wanted)}"])


def _weeks(wanted: date, today: date, draw: random.Random) -> str:
    weeks = (wanted - today).days // 7
    words = "a week" if weeks == 1 else f"{UNITS[weeks]} weeks"
    return draw.choice([f"in {words}", f"{words} from today", f"today in {words}"])


def _near(wanted: date, today: date, draw: random.Random) -> str:
    return ("today", "tomorrow", "the day after tomorrow")[(wanted - today).days]


def _twice(wanted: date, today: date, draw: random.Random) -> str:
    """Said in two ways, to be sure: "tomorrow, Wednesday", "next Tuesday, the eighth"."""
    if (wanted - today).days < 3:
        return f"{_near(wanted, today, draw)}, {weekday(wanted)}"
    return f"next {weekday(wanted)}, the {ordinal(wanted.day)}"


def _dated(wanted: date, today: date, draw: random.Random) -> str:
    month, number = MONTHS[wanted.month - 1].capitalize(), ordinal(wanted.day)
    short = f"{wanted.day}{_ending(wanted.day)}"
    said = draw.choice([number, number, short])
    forms = [f"the {said} of {month}", f"{month} {said}", f"{month} the {said}", f"on {month} {said}"]
    if draw.random() < 0.3:
        return f"{weekday(wanted)}, {draw.choice(forms).removeprefix('on ')}"
    return draw.choice(forms)


def _numbered(wanted: date, today: date, draw: random.Random) -> str:
    """The day of the month alone, where it cannot be mistaken for that of another month."""
    if not 0 < (wanted - today).days <= 27:
        return _dated(wanted, today, draw)
    said = draw.choice([ordinal(wanted.day), f"{wanted.day}{_ending(wanted.day)}"])
    return draw.choice([f"on the {said}", f"the {said}", f"{weekday(wanted)} the {said}"])


def spoken_time(at: time, draw: random.Random) -> str:
    """One of the ways in which a caller says a time: "half past two", "2:30 PM", "two thirty in the afternoon"."""
    hour = (at.hour - 1) % 12 + 1
    unclear = at.hour in (7, 18, 19, 20)  # a bare "seven" could be either
    part = "in the morning" if at.hour < 12 else "in the afternoon" if at.hour < 18 else "in the evening"
    half = draw.choice(["AM", "a.m.", "am"] if at.hour < 12 else ["PM", "p.m.", "pm"])
    if at == time(12):
        return draw.choice(["noon", "twelve", "twelve o'clock", "12", "midday", "12 PM"])
    words = draw.choice(_clock_words(hour, at.minute))
    written = f"{hour}:{at.minute:02d}" if at.minute else str(hour)
    forms = [words, words, f"{words} {part}", written, f"{written} {half}", f"{written} {half}"]
    if unclear:
        forms = [f"{words} {part}", f"{written} {half}"]
    if not at.minute and not unclear:
        forms += [f"{words} o'clock", f"{written} o'clock"]
    return draw.choice(forms)


def _clock_words(hour: int, minute: int) -> list[str]:
    this, following = UNITS[hour], UNITS[hour % 12 + 1]
    match minute:
        case 0:
            return [this]
        case 15:
            return [f"{this} fifteen", f"quarter past {this}", f"a quarter past {this}"]
        case 30:
            return [f"{this} thirty", f"half past {this}", f"{this} thirty"]
        case 45:
            return [f"{this} forty-five", f"quarter to {following}", f"a quarter to {following}"]
        case _:
            words = UNITS[minute] if minute < 20 else f"{_TENS[minute // 10]}{_units(minute % 10)}"
            forms = [f"{this} {'oh ' if minute < 10 else ''}{words}"]
            if minute in (10, 20):
                forms.append(f"{words} past {this}")
            if minute in (40, 50):
                forms.append(f"{ {40: 'twenty', 50: 'ten'}[minute] } to {following}")
            return forms


def _units(number: int) -> str:
    return f"-{UNITS[number]}" if number else ""


def part_of_day(first: time, last: time, draw: random.Random) -> str:
    """What a caller calls a stretch of a day that begins at `first` and whose last slot is `last`."""
    if last < time(12):
        return draw.choice(["in the morning", "some time in the morning", "before noon"])
    if first >= time(12):
        return draw.choice(["in the afternoon", "some time in the afternoon", "after lunch"])
    return "any time"


def number_aloud(digits: str, draw: random.Random) -> str:
    """A telephone number as it is said: in groups, as words or as digits."""
    cut = len(digits) - 4
    groups = [digits[:3], digits[3:cut], digits[cut:]] if len(digits) > 7 else [digits[:cut], digits[cut:]]
    groups = [group for group in groups if group]
    if draw.random() < 0.5:
        return draw.choice([" ", "-", " "]).join(groups)
    nought = draw.choice(["zero", "oh"])
    return ", ".join(" ".join(nought if c == "0" else UNITS[int(c)] for c in group) for group in groups)


def digits_aloud(digits: str) -> str:
    """As the front desk reads a number back: "5 5 5, 0 1 4 7", which a voice says digit by digit."""
    cut = len(digits) - 4
    groups = [digits[:3], digits[3:cut], digits[cut:]] if len(digits) > 7 else [digits[:cut], digits[cut:]]
    return ", ".join(" ".join(group) for group in groups if group)


def spelled(draw: random.Random, *names: str) -> str:
    """The letters of one or two names: "A N N, S A T O", "A-N-N, S-A-T-O", "A, N, N, then S, A, T, O"."""
    between = draw.choice([" ", "-", " ", ", "])
    each = [between.join(letter.upper() for letter in name if letter.isalpha()) for name in names]
    return draw.choice([", then ", ", and then "] if between == ", " else [", ", ", ", ", last name "]).join(each)


def _ending(number: int) -> str:
    return "th" if 10 < number < 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def later(at: time, minutes: int) -> time:
    """`at` so many minutes later; the end of the day at most."""
    total = min(at.hour * 60 + at.minute + minutes, 23 * 60 + 59)
    return time(total // 60, total % 60)
