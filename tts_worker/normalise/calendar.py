"""PURE: dates."""

import re

from tts_worker.normalise.aligned import Aligned
from tts_worker.normalise.numbers import german_form
from tts_worker.normalise.tongue import MASCULINE, Tongue

_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ISO = re.compile(
    r"(?<![\w.,/-])(?P<y>[12][0-9]{3})(?P<mark>[-/])(?P<m>[01]?[0-9])(?P=mark)(?P<d>[0-3]?[0-9])(?![\w/-]|\.[0-9])"
)
_NUMERIC = re.compile(
    r"(?<![\w.,/-])(?P<a>[0-3]?[0-9])(?P<mark>[./-])(?P<b>[0-3]?[0-9])(?P=mark)(?P<y>[12][0-9]{3}|[0-9]{2})(?![\w/-]|[.,][0-9])"
)
_SHORT = re.compile(r"(?<![\w.,/-])(?P<a>[0-3]?[0-9])/(?P<b>[0-3]?[0-9])(?![\w/-]|[.,][0-9])")
_BEFORE_DATE = {
    "en": ("on", "by", "until"), "fr": ("le", "du", "au"), "es": ("el", "del"), "it": ("il", "dal", "del"),
    "pt": ("dia", "em", "no", "até"), "nl": ("op",), "de": ("am", "vom", "zum"), "ar": ("يوم",),
}  # fmt: skip
_GERMAN_DAY = re.compile(r"(?<![\w.,/-])(?P<d>[0-3]?[0-9])\.(?P<m>[01]?[0-9])\.(?![\w])")


def dates(text: Aligned, tongue: Tongue) -> Aligned:
    """2026-11-22, 22.11.2026, 3/4/2026 by the region's order, 22. November 2026, Nov 22nd."""
    text = text.sub(_ISO, lambda found: _date(found, int(found["y"]), int(found["m"]), int(found["d"]), tongue))
    text = text.sub(_NUMERIC, lambda found: _numeric(found, tongue))
    if tongue.language == "de":
        text = text.sub(_GERMAN_DAY, lambda found: _date(found, None, int(found["m"]), int(found["d"]), tongue))
    text = text.sub(_SHORT, lambda found: _short(found, tongue))
    text = _day_ranges(text, tongue)
    for pattern in _written(tongue):
        text = text.sub(pattern, lambda found: _named(found, tongue))
    return text


def _day_ranges(text: Aligned, tongue: Tongue) -> Aligned:
    """The first day of "3-5 May"; the second is that of a date, and is read with it."""
    names = "|".join(sorted(map(re.escape, tongue.months), key=len, reverse=True))
    mark = r"(?:\.|º|st|nd|rd|th)?"
    pattern = rf"(?<![\w.,:-])([0-3]?[0-9]){mark} ?[-–] ?(?=[0-3]?[0-9]{mark} ?(?:de )?(?:{names})\b)"
    return text.sub(re.compile(pattern), lambda found: _first_day(found, tongue))


def _first_day(found: re.Match[str], tongue: Tongue) -> str | None:
    day = int(found[1])
    if not 1 <= day <= 31:
        return None
    the = "the " if tongue.language == "en" and not found.string[: found.start()].lower().endswith("the ") else ""
    return f"{the}{_day(found.string[: found.start()], day, tongue)} {tongue.wording.to} "


def _short(found: re.Match[str], tongue: Tongue) -> str | None:
    """25/12 without a year is a date where it can be no fraction, or a word in front says so."""
    first, second = int(found["a"]), int(found["b"])
    if (first, second) == (24, 7):
        return f"{tongue.cardinal('24')} {tongue.cardinal('7')}"
    day, month = (second, first) if tongue.month_first else (first, second)
    before = found.string[: found.start()].rstrip().rpartition(" ")[2].lower()
    if day > 12 or before in _BEFORE_DATE.get(tongue.language, ()):
        return _date(found, None, month, day, tongue)
    return None


def _written(tongue: Tongue) -> list[re.Pattern[str]]:
    """Day and month by name, and the year if it is there."""
    names = "|".join(sorted(map(re.escape, tongue.months), key=len, reverse=True))
    month, year = rf"(?P<month>{names})\b\.?", r"(?P<y>[12][0-9]{3})(?![\w]|[.,][0-9])"
    day = r"(?P<d>[0-3]?[0-9])"
    if tongue.language == "en":
        end = r"(?:(?:st|nd|rd|th)\b)?"
        to = rf"(?: ?[-–] ?(?P<last>[0-3]?[0-9]){end})?"
        first = re.compile(rf"\b(?P<month>{names})\b\.? {day}{end}{to}(?![\w:–-]|[.,][0-9])(?:,? {year})?")
        return [first, re.compile(rf"(?<![\w.,:])(?P<the>the )?{day}{end} (?:of )?{month}(?:,? {year})?")]
    mark = {"de": r"\.", "fr": "(?:er)?", "pt": "º?", "it": "[º°]?", "es": "º?", "ar": ""}.get(tongue.language, "")
    de = "(?:de )?" if tongue.language in ("es", "pt") else "(?:من )?" if tongue.language == "ar" else ""
    del_ = ",?(?: del?)?" if tongue.language in ("es", "pt") else ",?"
    blank = "[ \u00a0]?" if tongue.language == "de" else "[ \u00a0]"
    return [re.compile(rf"(?<![\w.,:]){day}{mark}{blank}{de}{month}(?:{del_} {year})?")]


def _numeric(found: re.Match[str], tongue: Tongue) -> str | None:
    if len(found["y"]) == 2 and found["mark"] == "-":
        return None
    year = int(found["y"])
    if len(found["y"]) == 2:
        year += 2000 if year < 70 else 1900
    month, day = int(found["a"]), int(found["b"])
    if not (tongue.month_first and found["mark"] == "/") or month > 12:
        month, day = day, month
    if month > 12:
        month, day = day, month
    return _date(found, year, month, day, tongue)


def _named(found: re.Match[str], tongue: Tongue) -> str | None:
    year = int(found["y"]) if found["y"] else None
    day_first = tongue.language == "en" and found.start("d") < found.start("month")
    return _date(found, year, tongue.months[found["month"]], int(found["d"]), tongue, day_first)


def _date(
    found: re.Match[str], year: int | None, month: int, day: int, tongue: Tongue, day_first: bool = False
) -> str | None:
    if not (1 <= month <= 12 and 1 <= day <= _LENGTHS[month - 1]):
        return None
    form = ("day" if year is None else "full") + "_gb" * (day_first or tongue.british)
    if tongue.british and not day_first and found.groupdict().get("month"):
        form = form.removesuffix("_gb")  # "November 22": the order is the writer's
    pattern = tongue.wording.date[form]
    said = str(pattern).format(
        d=_day(found.string[: found.start()], day, tongue) + _last_day(found, tongue),
        month=tongue.locale.months["format"]["wide"][month],
        y="" if year is None else tongue.year(year),
    )
    before = found.string[: found.start()].lower()
    if said.startswith("the ") and before.endswith(("the ", f" {tongue.wording.to} ")):
        return said.removeprefix("the ")
    return said


def _day(before: str, day: int, tongue: Tongue) -> str:
    if tongue.language == "en" or tongue.wording.date.get("ordinal"):
        return tongue.ordinal(day)
    if tongue.language == "de":
        return tongue.ordinal(day, german_form(before) or _weekday_form(before))
    if day == 1 and (first := tongue.wording.date.get("first")):
        return str(first)
    if day == 1 and tongue.language == "es" and tongue.locale.territory not in (None, "ES"):
        return "primero"
    return tongue.cardinal(str(day))


def _last_day(found: re.Match[str], tongue: Tongue) -> str:
    """Of "May 3-5"."""
    last = found.groupdict().get("last")
    return f" {tongue.wording.to} {tongue.ordinal(int(last))}" if last and int(last) else ""


def _weekday_form(before: str) -> str:
    """ "am Montag, dem 3. Mai" has said its case, "am Montag, 3. Mai" says it with the day of the week."""
    found = re.search(r"(?:(\w+) )?\w+tag, ?$", before[-40:])
    return "oblique" if found and (german_form(f"{found[1]} ") == "oblique") else MASCULINE
