"""PURE: money, units, percent."""

import re

from tts_worker.normalise.aligned import Aligned
from tts_worker.normalise.patterns import SIGN, number_pattern, parse
from tts_worker.normalise.tongue import FEMININE, MASCULINE, Number, Tongue

UNITS = {
    "km/h": "speed-kilometer-per-hour", "kmh": "speed-kilometer-per-hour", "mph": "speed-mile-per-hour",
    "m/s": "speed-meter-per-second", "km²": "area-square-kilometer", "m²": "area-square-meter",
    "m2": "area-square-meter", "m³": "volume-cubic-meter", "m3": "volume-cubic-meter", "km": "length-kilometer",
    "cm": "length-centimeter",
    "mm": "length-millimeter", "m": "length-meter", "mi": "length-mile", "ft": "length-foot", "kg": "mass-kilogram",
    "mg": "mass-milligram", "g": "mass-gram", "lbs": "mass-pound", "lb": "mass-pound", "oz": "mass-ounce",
    "ml": "volume-milliliter", "mL": "volume-milliliter", "cl": "volume-centiliter", "l": "volume-liter",
    "L": "volume-liter",
    "°C": "temperature-celsius", "° C": "temperature-celsius", "℃": "temperature-celsius",
    "°F": "temperature-fahrenheit", "℉": "temperature-fahrenheit", "°": "angle-degree",
    "kWh": "energy-kilowatt-hour", "kW": "power-kilowatt", "W": "power-watt", "V": "electric-volt",
    "kcal": "energy-kilocalorie",
    "TB": "digital-terabyte", "GB": "digital-gigabyte", "MB": "digital-megabyte", "KB": "digital-kilobyte",
    "kB": "digital-kilobyte", "GHz": "frequency-gigahertz", "MHz": "frequency-megahertz", "kHz": "frequency-kilohertz",
    "Hz": "frequency-hertz", "h": "duration-hour", "hrs": "duration-hour", "hr": "duration-hour",
    "min": "duration-minute",
    "sec": "duration-second", "s": "duration-second", "ms": "duration-millisecond", "ha": "area-hectare",
}  # fmt: skip
"""Of the CLDR, by symbol."""
CODES = (
    "EUR|USD|GBP|CHF|INR|JPY|CAD|AUD|NZD|BRL|AED|SAR|EGP|QAR|KWD|MAD|SEK|NOK|DKK|PLN|CZK|HUF|CNY|MXN|ARS|COP|CLP|TRY"
)
_SIGNS = {"US$": "USD", "CA$": "CAD", "A$": "AUD", "AU$": "AUD", "R$": "BRL", "¥": "JPY"}
_OWN = {"EUR": "€", "GBP": "£", "INR": "₹"}


def percent(text: Aligned, tongue: Tongue) -> Aligned:
    """50 % and 3.5%."""
    pattern = re.compile(r"(?<=[0-9])[ \u00a0\u202f]?[%٪](?![\w%])")
    return text.sub(pattern, f" {tongue.wording.percent}")


def units(text: Aligned, tongue: Tongue) -> Aligned:
    """5 km, -3 °C, 2 h; a range has its unit behind the second number."""
    symbols = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
    pattern = re.compile(
        rf"(?<![\w.,])(?P<sign>{SIGN})(?P<number>{number_pattern(tongue)})"
        rf"[ \u00a0\u202f-]?(?P<unit>{symbols})(?![\w/²³])(?:\.(?= [a-z]))?"
    )
    return text.sub(pattern, lambda found: _unit(found, tongue))


def _unit(found: re.Match[str], tongue: Tongue) -> str | None:
    number, unit = parse(found["number"], tongue), UNITS[found["unit"]]
    if number is None or (tongue.language in ("hi", "ar") and unit in ("length-foot", "mass-ounce")):
        return None
    minus = f"{tongue.wording.minus} " if found["sign"] else ""
    return minus + tongue.unit(number, unit)


def money(text: Aligned, tongue: Tongue) -> Aligned:
    """€12.50, 12,50 €, $3 million, 20 CHF, 12,50 Euro."""
    words = {name: sign for sign, names in tongue.wording.money.items() for name in names[:2]}
    signs = [*tongue.wording.money, *_SIGNS, *CODES.split("|")]
    sign = "|".join(sorted(map(re.escape, signs), key=len, reverse=True))
    name = "|".join(sorted(map(re.escape, [*signs, *words]), key=len, reverse=True))
    scale = rf"(?:[ \u00a0](?P<scale>{'|'.join(map(re.escape, tongue.wording.scales))})\b)?"
    number, minus, blank = number_pattern(tongue), f"(?P<minus>{SIGN})", r"[ \u00a0\u202f]?"
    letters = "|".join(tongue.wording.short_scales) or "(?!)"
    short = rf"(?P<short>(?:{letters})\b)?"
    before = re.compile(
        rf"(?<![\w.,$]){minus}(?P<sign>{sign}){blank}(?P<number>{number}){short}{scale}(?![\w]|[.,][0-9])"
    )
    of = rf"(?: {tongue.wording.scale_of} |{blank})" if tongue.wording.scale_of else blank
    behind = re.compile(
        rf"(?<![\w.,]){minus}(?P<number>{number})(?:[,.][–—-]{{1,2}})?{scale}{of}(?P<sign>{name})(?!\w)"
    )
    for pattern in (before, behind):
        text = text.sub(pattern, lambda found: _money(found, tongue, words))
    return text


def _money(found: re.Match[str], tongue: Tongue, words: dict[str, str]) -> str | None:
    sign = words.get(found["sign"], found["sign"])
    number = parse(found["number"], tongue)
    if number is None and re.fullmatch(r"[0-9]+[.,][0-9]{2}", found["number"]):
        number = Number(*re.split("[.,]", found["number"]))  # "$12,50": cents, whatever the language's own habit
    if number is None or int(number.whole) >= 10**15:
        return None
    known = tongue.wording.money.get(sign) or tongue.wording.money.get(_OWN.get(sign, ""))
    if known is None:
        code = _SIGNS.get(sign, sign)
        gender = tongue.unit_gender(code)
        one = other = tongue.currency(code, number)
        many = tongue.currency(code, Number("1000000"))
        minor = ("", "")
    else:
        (one, other, *small), many = known, known[1]
        gender, minor = (small[2] if len(small) > 2 else MASCULINE), (small[0], small[1])
    minus = f"{tongue.wording.minus} " if found["minus"] else ""
    groups = found.groupdict()
    if scale := tongue.wording.short_scales.get(groups.get("short") or "") or groups["scale"]:
        return minus + f"{tongue.say(number)} {scale} {_of(tongue, scale, many)}"
    return minus + _amount(number, (one, other), minor, gender, tongue)


def _of(tongue: Tongue, scale: str, name: str) -> str:
    of = tongue.wording.scale_of
    if not of or scale in ("mil", "mila"):
        return name
    return f"d'{name}" if tongue.language == "fr" and name[0] in "aeiou" else f"{of} {name}"


def _amount(number: Number, names: tuple[str, str], minor: tuple[str, str], gender: str, tongue: Tongue) -> str:
    name = tongue.counted(Number(number.whole), *names)
    if len(number.fraction) == 2 and int(number.fraction):
        small = Number(str(int(number.fraction)))
        unit = tongue.counted(small, *minor)
        cents = tongue.say(
            small, MASCULINE if unit and (tongue.wording.money_minor or number.whole == "0") else "neutral"
        )
        if number.whole == "0" and unit:
            return f"{cents} {unit}"
        named = f" {unit}" if unit and tongue.wording.money_minor else ""
        return f"{tongue.say(Number(number.whole), gender)} {name}{tongue.wording.money_join}{cents}{named}"
    if number.fraction and int(number.fraction):
        return f"{tongue.say(number)} {names[1]}"
    return f"{tongue.say(Number(number.whole), FEMININE if gender == FEMININE else MASCULINE)} {name}"
