"""PURE: times of day."""

import re

from tts_worker.normalise.aligned import Aligned
from tts_worker.normalise.tongue import NEUTRAL, Number, Tongue

_HALF = r"(?: ?(?P<half>[ap])(?P<dots>\.?)m\b(?P<stop>\.?))"
_SUFFIXED = re.compile(rf"(?<![\w.,:])(?P<h>1[0-2]|0?[1-9])(?:[:.](?P<m>[0-5][0-9]))?{_HALF}(?!\w)", re.IGNORECASE)


def times(text: Aligned, tongue: Tongue) -> Aligned:
    """14:30 with seconds or without, 2:30 pm, 14h30, 14.30 Uhr."""
    if tongue.language == "en":
        text = text.sub(_SUFFIXED, lambda found: _half_day(found, tongue))
    after = tongue.wording.time["after"]
    clock = re.compile(rf"(?<![\w.,:])([01]?[0-9]|2[0-4]):([0-5][0-9])(?::([0-5][0-9]))?(?![\w:]|[.,][0-9]){after}")
    own = [re.compile(pattern) for pattern in tongue.wording.time.get("patterns", ())]
    for pattern in (clock, *own):
        text = text.sub(pattern, lambda found: _time(found, tongue))
    return text


def _half_day(found: re.Match[str], tongue: Tongue) -> str:
    half = found["half"].upper() + "M"
    hour, minute = str(int(found["h"])), found["m"]
    said = tongue.cardinal(hour)
    if minute and int(minute):
        said = _of(tongue, "small" if int(minute) < 10 else "full", said, tongue.cardinal(str(int(minute))))
    behind = found.string[found.end() :]
    ends = found["stop"] and (not behind or re.match(r"\s+[A-ZÀ-Ý]", behind) or not found["dots"])
    return f"{said} {half}" + "." * bool(ends)


def _time(found: re.Match[str], tongue: Tongue) -> str | None:
    hour, minute = int(found[1]), int(found[2] or 0)
    second = int(found[3]) if found.re.groups > 2 and found[3] else None
    word = tongue.wording.time
    if tongue.language == "en":
        said = _english(hour, minute, tongue)
    else:
        said = _of(tongue, "full" if minute else "hour", _hour(hour, tongue), tongue.cardinal(str(minute)), hour)
    if second is None:
        return said
    if tongue.language != "en" and not minute and "unit" not in word["hour"]:
        said = _of(tongue, "full", _hour(hour, tongue), tongue.cardinal("0"), hour)
    return f"{said} {tongue.wording.symbols['&']} {tongue.unit(Number(str(second)), 'duration-second')}".replace(
        "و ", "و"
    )


def _english(hour: int, minute: int, tongue: Tongue) -> str:
    if hour in (0, 24):
        return (
            "midnight"
            if not minute
            else _of(tongue, "small" if minute < 10 else "full", "twelve", tongue.cardinal(str(minute))) + " AM"
        )
    said = tongue.cardinal(str(hour))
    if not minute:
        return _of(tongue, "hour", said, "") if hour <= 12 else f"{said} hundred"
    return _of(tongue, "small" if minute < 10 else "full", said, tongue.cardinal(str(minute)))


def _hour(hour: int, tongue: Tongue) -> str:
    if tongue.wording.time.get("ordinal"):
        return "الواحدة" if hour == 1 else tongue.ordinal(hour or 12, "feminine")
    return tongue.cardinal(str(hour), tongue.wording.time.get("gender", NEUTRAL))


def _of(tongue: Tongue, form: str, hour: str, minute: str, number: int = 2) -> str:
    one, many = tongue.wording.time.get("units", ("", ""))
    said = tongue.wording.time[form].format(h=hour, m=minute, unit=one if number == 1 else many)
    return str(said)
