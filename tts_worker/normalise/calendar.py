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
_GERMAN_DAY = re.compile(r"(?<![\w.,/-])(?P<d>[0-3]?[0-9])\.(?P<m>[01]?[0-9])\.(?![\w])")


def dates(text: Aligned, tongue: Tongue) -> Aligned:
    """2026-11-22, 22.11.2026, 3/4/2026 by the region's order, 22. November 2026, Nov 22nd."""
    text = text.sub(_ISO, lambda found: _date(found, int(found["y"]), int(found["m"]), int(found["d"]), tongue))
    text = text.sub(_NUMERIC, lambda found: _numeric(found, tongue))
    if tongue.language == "de":
        text = text.sub(_GERMAN_DAY, lambda found: _date(found, None, int(found["m"]), int(found["d"]), tongue))
    for pattern in _written(tongue):
        text = text.sub(pattern, lambda found: _named(found, tongue))
    return text


def _written(tongue: Tongue) -> list[re.Pattern[str]]:
    """Day and month by name, and the year if it is there."""
    names = "|".join(sorted(map(re.escape, tongue.months), key=len, reverse=True))
    month, year = rf"(?P<month>{names})\b\.?", r"(?P<y>[12][0-9]{3})(?![\w]|[.,][0-9])"
    day = r"(?P<d>[0-3]?[0-9])"
    if tongue.language == "en":
        end = r"(?:(?:st|nd|rd|th)\b)?"
        first = re.compile(rf"\b(?P<month>{names})\b\.? {day}{end}(?![\w:]|[.,][0-9])(?:,? {year})?")
        return [first, re.compile(rf"(?<![\w.,:])(?P<the>the )?{day}{end} (?:of )?{month}(?:,? {year})?")]
    mark = {"de": r"\.", "fr": "(?:er)?", "pt": "º?", "it": "[º°]?", "es": "º?", "ar": ""}.get(tongue.language, "")
    de = "(?:de )?" if tongue.language in ("es", "pt") else "(?:من )?" if tongue.language == "ar" else ""
    del_ = ",?(?: del?)?" if tongue.language in ("es", "pt") else ",?"
    return [re.compile(rf"(?<![\w.,:]){day}{mark}[ \u00a0]{de}{month}(?:{del_} {year})?")]


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
        d=_day(found.string[: found.start()], day, tongue),
        month=tongue.locale.months["format"]["wide"][month],
        y="" if year is None else tongue.year(year),
    )
    if said.startswith("the ") and found.string[: found.start()].lower().endswith("the "):
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


def _weekday_form(before: str) -> str:
    """ "am Montag, dem 3. Mai" has said its case, "am Montag, 3. Mai" says it with the day of the week."""
    found = re.search(r"(?:(\w+) )?\w+tag, ?$", before[-40:])
    return "oblique" if found and (german_form(f"{found[1]} ") == "oblique") else MASCULINE
