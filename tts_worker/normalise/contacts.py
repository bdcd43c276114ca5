"""PURE: e-mail and web addresses, telephone numbers."""

import re

from tts_worker.normalise.aligned import Aligned
from tts_worker.normalise.tongue import Tongue

_MAIL = re.compile(r"(?<![\w.+-])[a-zA-Z0-9](?:[\w.+-]{0,62}\w)?@[a-zA-Z0-9-]{1,63}(?:\.[a-zA-Z0-9-]{1,63})+(?<!-)")
_DOMAIN = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_PATH = r"(?::[0-9]{2,5})?(?P<path>(?:/[\w.~%+-]*)*)(?:[?#][^\s<>\"')\]]*)?"
_WEB = re.compile(rf"(?<![\w@.])(?:https?://|(?=www\.))(?P<host>{_DOMAIN}(?:\.{_DOMAIN})*){_PATH}", re.IGNORECASE)
_TOP = "com|org|net|de|fr|nl|eu|io|info|gov|edu|app|dev|uk|ch|br"
_BARE = re.compile(
    rf"(?<![\w@./-])(?P<host>[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)*\.(?:{_TOP})){_PATH}(?![\w@])"
)

_PHONES = [
    re.compile(r"(?<![\w+])\+[1-9][0-9]{0,2}(?:[ \u00a0./-]{0,2}\(?[0-9]{1,12}\)?){1,7}(?![\w])"),
    re.compile(
        r"(?<![\w+)])(?:1[ -])?\([0-9]{2,5}\)[ \u00a0/-]{0,2}[0-9]{2,8}(?:[ \u00a0./-][0-9]{2,8}){0,4}"
        r"(?![\w]|[.,:][0-9])"
    ),
    re.compile(r"(?<![\w+.,:/-])0[0-9]{1,5}(?:(?: ?[/-] ?|[ \u00a0])[0-9]{2,8}){1,5}(?![\w:/-]|[.,][0-9])"),
    re.compile(r"(?<![\w+.,:/-])(?:1[ .-])?[2-9][0-9]{2}[ .-][0-9]{3}[ .-][0-9]{4}(?![\w/-]|[.,][0-9])"),
    re.compile(r"(?<![\w+.,:/-])[2-9][0-9]{2}-[0-9]{4}(?![\w/-]|[.,][0-9])"),
]
_CODES = re.compile(r"(?<![\w.,:/-])(?:[0-9]{4}[ \u00a0-]){2,9}[0-9]{1,4}(?![\w/-]|[.,:][0-9])")
_DASHED = re.compile(r"(?<![\w.,:/-])(?:[0-9]{5,}-[0-9]{4,}|[0-9]{4,}-0[0-9]{3,})(?![\w/-]|[.,:][0-9])")
_LONG = re.compile(r"(?<![\w+.,:/-])(?:0[0-9]{5,13}|[0-9]{16,})(?![\w/-]|[.,:][0-9])")
_NATIONAL = {
    "fr": r"0 8[0-9]{2} [0-9]{3} [0-9]{3}",
    "es": r"[6-9][0-9]{2} [0-9]{3} [0-9]{3}|[6-9][0-9]{2} [0-9]{2} [0-9]{2} [0-9]{2}|9[0-9] [0-9]{3} [0-9]{2} [0-9]{2}",
    "pt": r"9[0-9]{2} [0-9]{3} [0-9]{3}|2[0-9]{2} [0-9]{3} [0-9]{3}|9[0-9]{4}-[0-9]{4}",
    "it": r"3[0-9]{2}[ /-][0-9]{6,7}|3[0-9]{2} [0-9]{3} [0-9]{3,4}",
    "hi": r"[6-9][0-9]{4}[ -][0-9]{5}|[6-9][0-9]{9}",
}  # fmt: skip
"""How numbers look that begin with no zero."""
_FEWEST, _MOST, _GROUP = 6, 15, 4


def addresses(text: Aligned, tongue: Tongue) -> Aligned:
    """anna.b@example.com is "anna dot b at example dot com"; scheme and query of a web address are not said."""
    text = text.sub(_MAIL, lambda found: _spelled(found.group(), tongue))
    text = text.sub(_WEB, lambda found: _web(found, tongue))
    return text.sub(_BARE, lambda found: _web(found, tongue))


def phones(text: Aligned, tongue: Tongue) -> Aligned:
    """Numbers of telephones, cards and accounts: digit by digit, with a short pause between groups as written."""
    text = text.sub(_CODES, lambda found: _phone(found.group(), tongue, 40))
    for pattern in _PHONES:
        text = text.sub(pattern, lambda found: _phone(found.group(), tongue, _MOST))
    if national := _NATIONAL.get(tongue.language):
        pattern = re.compile(rf"(?<![\w+.,:/-])(?:{national})(?![\w/-]|[.,:][0-9])")
        text = text.sub(pattern, lambda found: _phone(found.group(), tongue, _MOST))
    text = text.sub(_DASHED, lambda found: _phone(found.group(), tongue, 40))
    return text.sub(_LONG, lambda found: _phone(found.group(), tongue, len(found.group())))


def _phone(written: str, tongue: Tongue, most: int) -> str | None:
    groups = re.findall("[0-9]+", written)
    if not _FEWEST <= sum(map(len, groups)) <= most:
        return None
    said = f"{tongue.wording.comma} ".join(tongue.digits(part) for group in groups for part in _parts(group))
    return f"{tongue.wording.web['plus']} {said}" if written[0] == "+" else said


def _parts(group: str) -> list[str]:
    """A group of at most four digits stays one; longer ones are cut into threes, and the last of three or four."""
    parts = []
    while len(group) > _GROUP:
        size = 2 if len(group) == 5 else 3
        parts.append(group[:size])
        group = group[size:]
    return [*parts, group]


def _web(found: re.Match[str], tongue: Tongue) -> str:
    path = found["path"].rstrip("/")
    end = re.search(r"[.]*$", path)
    stop = end.group() if end else ""
    said = _spelled(found["host"] + path[: len(path) - len(stop)], tongue)
    behind = found.group()[-1:]
    return said + (stop or (behind if behind in ".,;:!?" else ""))


def _spelled(address: str, tongue: Tongue) -> str:
    word = tongue.wording.web
    names = {"@": word["at"], ".": word["dot"], "-": word["dash"], "_": word["underscore"], "/": word["slash"],
             "+": word["plus"], ":": word["colon"]}  # fmt: skip
    said = []
    parts = re.findall(r"[0-9]+|[^\W\d_]+|\S", address)
    for index, part in enumerate(parts):
        if part.isdigit() and part.isascii():
            said.append(tongue.digits(part))
        elif index == len(parts) - 1 and len(part) == 2 and part.isascii():
            said.append(part.upper())  # of a country, spelled
        else:
            said.append(names.get(part, part if part.isalnum() else ""))
    return " ".join(filter(None, said))
