"""PURE: how a number is written, and what it means in a language."""

import re

from tts_worker.normalise.tongue import Number, Tongue

GROUP_BLANKS = "\u00a0\u202f\u2009"
DIGITS = r"[0-9]"
NUMBER = (
    rf"(?:[0-9]{{1,3}}(?:[{GROUP_BLANKS}][0-9]{{3}})+(?![0-9])(?:[.,][0-9]+)?"
    r"|[0-9]{1,3}(?: [0-9]{3})+(?![0-9])(?:,[0-9]+)?(?=@FR@)"
    r"|[0-9]+(?:[.,٫٬'’][0-9]+)*)"
)
SIGN = r"(?:(?<![\w)\].,])[-−‐])?"


def number_pattern(tongue: Tongue) -> str:
    """A regular expression for a number; only some languages set thousands apart with a plain blank."""
    return NUMBER.replace("(?=@FR@)", "" if tongue.language == "fr" else "(?!)")


def parse(written: str, tongue: Tongue) -> Number | None:
    """What `written` is worth; None if it is no one number, but several with separators between them."""
    text = re.sub(rf"[ {GROUP_BLANKS}]", "", written).replace("٫", tongue.decimal).replace("٬", tongue.group)
    decimal, group = re.escape(tongue.decimal), rf"[{re.escape(tongue.group)}'’]"
    inner = "{2,3}" if tongue.language == "hi" or tongue.locale.territory == "IN" else "{3}"
    if found := re.fullmatch(
        rf"([0-9]{{1,3}}(?:{group}[0-9]{inner})*{group}[0-9]{{3}}|[0-9]+)(?:{decimal}([0-9]+))?", text
    ):
        whole = found[1] if found[1].isdigit() else "".join(c for c in found[1] if c.isdigit())
        if found[1][0] != "0" or found[1].isdigit():
            return Number(whole, found[2] or "")
    return None


def say_number(written: str, tongue: Tongue, gender: str = "neutral") -> str:
    """Of anything that the pattern finds; what is no one number in the language part by part."""
    if number := parse(written, tongue):
        return tongue.say(number, gender)
    parts = re.split(r"([^0-9]+)", written)
    dot = tongue.wording.point if tongue.decimal == "." else tongue.wording.web["dot"]
    if len(parts) == 3 and parts[1] in ".,":
        point = dot if parts[1] == "." else tongue.wording.point
        return tongue.say(Number(parts[0], parts[2]), point=point)
    marks = {".": f" {dot} "}
    said = (marks.get(part, ", ") if index % 2 else tongue.cardinal(part) for index, part in enumerate(parts))
    return "".join(said)
