"""PURE: plain numbers, years, ranges, ordinals."""

import re

from tts_worker.normalise.aligned import Aligned
from tts_worker.normalise.patterns import SIGN, number_pattern, parse, say_number
from tts_worker.normalise.tongue import FEMININE, MASCULINE, NEUTRAL, Tongue

FIRST_YEAR, END_YEAR = 1100, 2100
"""A plain number of four digits between them is read as a year: "nineteen ninety-eight", also where it counts."""
_WORD_BEHIND = r"(?= (?P<noun>[^\W\d_]+))?"
_ORDINALS = {
    "en": r"(?P<n>[0-9]+)(?P<form>st|nd|rd|th)\b",
    "fr": r"(?P<n>[0-9]+)(?P<form>ers?|res?|ère|i?[èe]mes?|es?|nde?|d)\b(?!['’])",
    "es": r"(?P<n>[0-9]+)\.?(?P<form>º|ª|er\b|[oa]\b)",
    "nl": r"(?P<n>[0-9]+)(?P<form>e|ste|de)\b",
    "pt": r"(?P<n>[0-9]+)\.?(?P<form>º|ª|[oa]\b)",
    "it": r"(?P<n>[0-9]+)(?P<form>º|ª|°(?= (?!nel|all|con|per|sot|sop)[a-zà-ù]{3,}))",
    "hi": r"(?P<n>[0-9]+)-?(?P<form>ला|ली|ले|रा|री|रे|था|थी|थे|ठा|ठी|ठे|वां|वाँ|वीं|वें)(?!\w)",
}
_CLOCK_RANGE = re.compile(
    r"(?:(?<=[0-9][:.h][0-5][0-9])|(?<=[0-9]h)) ?[–—-] ?(?=[0-2]?[0-9](?:h|[:.][0-5][0-9])(?![0-9]))"
    r"|(?:(?<=[0-9][ap]m)|(?<=[0-9] [ap]m)) ?[–—-] ?(?=[01]?[0-9](?:[:.][0-5][0-9])? ?[ap]m\b)", re.IGNORECASE
)  # fmt: skip
_SIGNED_RANGE = re.compile(r"(?:(?<=[0-9] [%€£])|(?<=[0-9][%€£])) ?[–—-] ?(?=[0-9])|(?<=[0-9]) ?[–—-] ?(?=[$€£][0-9])")
_BARE_POINT = re.compile(r"(?<![\w.,])\.(?=[0-9])")
_TIMES_SIGN = re.compile(r"(?<=[0-9]) ?[x×] ?(?=[0-9])")
_FRACTIONS = {("1", "2"): "½", ("1", "4"): "¼", ("3", "4"): "¾", ("1", "3"): "⅓", ("2", "3"): "⅔"}
_FRACTION = re.compile(r"(?<![\w./,])(?:([0-9]{1,3}) ?)?(?:([1-3])/([2-4])|([½¼¾⅓⅔]))(?![\w/])")
_DECADE = re.compile(r"(?<!\w)(?:['’]([2-9]0)|((?:1[1-9]|20)[0-9]0))['’]?s\b")
_AR_PREFIXES = "وبلكف"
"""Words of one letter that are written together with the next."""
_DE_ORDINAL = re.compile(r"(?<![\w.,])([0-9]{1,3})\.(?= (\w+))")
_DE_LAST = re.compile(r"(?:(?<=\bam )|(?<=\bzum )|(?<=\bvom ))([0-9]{1,2})(?=\.\s*\Z)")
_DE_DECADE = re.compile(r"(?<![\w.,])((?:1[1-9]|20)?[1-9]0)er\b")
_IT_UNO = re.compile("s[^aeiouàèéìòù]|z|gn|ps|x|y")
_DE_NEUTER = ("Mal", "Jahr", "Jahrhundert", "Kapitel", "Quartal")
_DE_NOUN = re.compile(
    r"Mal|Stock|Etage|Klasse|Platz|Tag|Woche|Monat|Jahr|Jahrhundert|Versuch|Teil|Kapitel|Quartal|Liga"
)
_DE_OBLIQUE = re.compile(
    "am|im|vom|zum|beim|zur|den|dem|des|bis|ab|seit|(?:ihr|sein|mein|unser|ein)e[mn]|(?:jed|dies)e[mn]"
)
_DE_BEFORE_DER = re.compile("in|auf|mit|von|bei|zu|an|nach|seit|vor|aus|ab|außer|neben|über|unter|hinter|zwischen")


def ordinals(text: Aligned, tongue: Tongue) -> Aligned:
    """1st, 3e, 2º, 5वाँ, English decades, and German "3." where the words around it make it one."""
    if tongue.language == "de":
        text = text.sub(_DE_DECADE, lambda found: f"{tongue.year(int(found[1]))}er")
        text = text.sub(_DE_LAST, lambda found: tongue.ordinal(int(found[1]), "oblique"))
        return text.sub(_DE_ORDINAL, lambda found: _german(found, tongue))
    if tongue.language == "en":
        text = text.sub(_DECADE, lambda found: _decade(tongue.year(int(found[1] or found[2]))))
    pattern = _ORDINALS.get(tongue.language)
    if pattern is None:
        return text
    return text.sub(re.compile(rf"(?<![\w.,]){pattern}"), lambda found: _ordinal(found, tongue))


def german_form(before: str) -> str | None:
    """Which form an ordinal takes on behind `before`: that of "der dritte", "am dritten" or "ein dritter"."""
    before = re.sub(r"(?:[0-9]{1,2}\.|\b\w+te[nr]?) (?:und|oder) $", "", before[-60:])
    words = re.findall(r"\w+", before)
    last = words[-1].lower() if words and re.search(r"\w,? ?$", before) else ""
    if last in ("der", "die", "das", "eine", "jede", "diese"):
        two = words[-2].lower() if len(words) > 1 else ""
        return "oblique" if last == "der" and _DE_BEFORE_DER.fullmatch(two) else FEMININE
    if _DE_OBLIQUE.fullmatch(last):
        return "oblique"
    return MASCULINE if last in ("ein", "mein", "sein", "kein", "jeder", "dieser") else None


def _german(found: re.Match[str], tongue: Tongue) -> str | None:
    form = german_form(found.string[: found.start()])
    if form is None:
        if not (_DE_NOUN.fullmatch(found[2]) or found[2][0].islower()):
            return None
        form = FEMININE if found[2].endswith("e") or found[2] == "Liga" else MASCULINE
        form = "neuter" if found[2] in _DE_NEUTER else form
    return tongue.ordinal(int(found[1]), form)


def _ordinal(found: re.Match[str], tongue: Tongue) -> str | None:
    number, form = int(found["n"]), found["form"]
    if len(found["n"]) > 6 or not number:
        return None
    if tongue.language == "fr":
        if form in ("nd", "nde", "d"):
            return {"nd": "second", "nde": "seconde"}.get(form) if number == 2 else None
        feminine = form.startswith(("r", "è"))
        return tongue.ordinal(number, FEMININE if feminine else MASCULINE) + ("s" if form.endswith("s") else "")
    if tongue.language == "hi":
        if form.endswith(("े", "ें")):
            return re.sub("(वाँ|ा)$", lambda end: "वें" if end[1] == "वाँ" else "े", tongue.ordinal(number))
        return tongue.ordinal(number, FEMININE if form.endswith(("ी", "ीं")) else MASCULINE)
    forms = {"ª": FEMININE, "a": FEMININE, "er": "short"}
    return tongue.ordinal(number, forms.get(form, MASCULINE))


def ranges(text: Aligned, tongue: Tongue) -> Aligned:
    """10–12 becomes "10 to 12"; the numbers themselves are read later. Short ones may have a hyphen."""
    number = number_pattern(tongue)
    dashed = re.compile(rf"(?<![\w.,–-])({number}) ?[–—] ?(?={number}(?![\w–-]))")
    hyphened = re.compile(r"(?<![\w.,–/-])([0-9]{1,4})-(?=[0-9]{1,4}(?![0-9_/–-]|[.,][0-9]))")
    text = text.sub(_CLOCK_RANGE, f" {tongue.wording.to} ")
    text = text.sub(_SIGNED_RANGE, f" {tongue.wording.to} ")
    text = text.sub(dashed, lambda found: f"{found[1]} {tongue.wording.to} ")
    return text.sub(hyphened, lambda found: f"{found[1]} {tongue.wording.to} ")


def fractions(text: Aligned, tongue: Tongue) -> Aligned:
    """½, 1/2 and 2½; any other slash between two numbers is said."""
    if tongue.decimal == ".":
        text = text.sub(_BARE_POINT, "0.")
    text = text.sub(_TIMES_SIGN, f" {tongue.wording.symbols['×']} ")
    text = text.sub(_FRACTION, lambda found: _fraction(found, tongue))
    text = text.sub(re.compile("(?<=[0-9]):(?=[0-9])"), " ")
    return text.sub(re.compile("(?<=[0-9])/(?=[0-9])"), f" {tongue.wording.web['slash']} ")


def _fraction(found: re.Match[str], tongue: Tongue) -> str | None:
    sign = found[4] or _FRACTIONS.get((found[2], found[3]))
    if sign is None:
        return None
    said = tongue.wording.symbols[sign]
    return f"{found[1]} {tongue.wording.symbols['&']} {said}" if found[1] else said


def _decade(year: str) -> str:
    return year[:-1] + "ies" if year.endswith("y") else year + ("es" if year.endswith("x") else "s")


def plain(text: Aligned, tongue: Tongue) -> Aligned:
    """Every number that is left. Words it touches are set apart from it."""
    pattern = re.compile(rf"(?P<sign>{SIGN})(?P<number>{number_pattern(tongue)}){_WORD_BEHIND}")
    return text.sub(pattern, lambda found: _plain(found, tongue))


def _plain(found: re.Match[str], tongue: Tongue) -> str:
    written, noun = found["number"], found["noun"] or ""
    before, behind = found.string[: found.start()][-1:], found.string[found.end() :][:1]
    touching = before.isalpha() or behind.isalpha()
    if re.fullmatch("[0-9]+", written) and (_is_code(written) or (touching and _in_code(found))):
        said = tongue.digits(written)
    elif re.fullmatch(r"[1-9][0-9]{3}", written) and FIRST_YEAR <= int(written) < END_YEAR and not found["sign"]:
        said = tongue.year(int(written))
    else:
        number = parse(written, tongue)
        counts = number and not number.fraction and noun not in tongue.wording.web.values()
        said = say_number(written, tongue, tongue.gender_before(noun) if counts else NEUTRAL)
        if said == "un" and tongue.language == "it" and _IT_UNO.match(noun):
            said = "uno"
    if found["sign"]:
        said = f"{tongue.wording.minus} {said}"
    prefix = tongue.language == "ar" and before in _AR_PREFIXES
    return " " * (before.isalpha() and not prefix) + said + " " * behind.isalpha()


def _is_code(written: str) -> bool:
    """Five digits or more without separators count nothing, as 12345 or 94105, unless they are round."""
    return len(written) > 4 and not written.endswith("000")


def _in_code(found: re.Match[str]) -> bool:
    """The word that the digits are in has more than a number at one of its ends, as AB12CD has and A4 has not."""
    text, start, end = found.string, found.start(), found.end()
    left = re.search(r"\w*$", text[max(0, start - 20) : start])
    right = re.match(r"\w*", text[end : end + 20])
    around = (left.group() if left else "") + (right.group() if right else "")
    return any(c.isdigit() for c in around) or (len(found["number"]) > 2 and around.isupper())
