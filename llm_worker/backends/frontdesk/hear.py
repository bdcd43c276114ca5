"""Recognised speech to words that rules can read: small letters, number words as digits, fillers gone, known slips
of the recogniser mended."""

import re
from difflib import get_close_matches

_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
_UNITS += "seventeen eighteen nineteen".split()
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50}
_ORDINALS = dict(
    zip(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
        "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth thirtieth".split(),
        [*range(1, 21), 30],
        strict=True,
    )
)
_FILLERS = re.compile(r"\b(?:u+h+m*|u+m+|e+r+m*|h+m+|ah+|like,|you know,?|i mean,?(?= (?:uh|um)))(?=\W|$),?", re.I)
_MISHEARD = (
    (r"\bchoose ?days?\b|\btues day\b|\bto the day\b|\btwos day\b", "tuesday"),
    (r"\bwends ?day\b|\bwens ?day\b|\bwednes day\b|\bwhens day\b", "wednesday"),
    (r"\bthirst day\b|\bthirsty\b|\bthurs day\b|\bthirds day\b|\bfirst day\b(?! of)", "thursday"),
    (r"\bfry ?day\b|\bfried day\b", "friday"),
    (r"\bmonde?y\b|\bmon day\b|\bmunday\b", "monday"),
    (r"\bmon\b", "monday"),
    (r"\btues?\b", "tuesday"),
    (r"\bweds?\b(?! like)", "wednesday"),
    (r"\bthurs?\b", "thursday"),
    (r"\btomorow\b|\bto morrow\b|\btomorrow's\b", "tomorrow"),
    (r"\bappoint(?:ed)? ?mint\b|\bappointmen\b|\bappointments\b|\ban ointment\b", "appointment"),
    (r"\bre schedule\b|\breschedual\b", "reschedule"),
    (r"\bcan sell\b|\bcansel\b|\bcounsel\b|\bcancelled?\b|\bcanceled\b", "cancel"),
    (r"\bo'?clock\b|\ba clock\b|\boh clock\b", "oclock"),
    (r"\ba\.? ?m\b\.?", "am"),
    (r"\bp\.? ?m\b\.?", "pm"),
)
_KEYWORDS = (
    "monday tuesday wednesday thursday friday saturday sunday tomorrow appointment reschedule cancel address "
    "january february november december october september thirty fifteen"
).split()
_WORD = re.compile(r"[a-z']+|\d+(?::\d\d)?(?:st|nd|rd|th)?|[,.?!;]")


def words(text: str) -> str:
    """The text as rules read it. Commas and full stops stay, as words of their own.

    "Um, Tuesday at ten-thirty a.m." becomes "tuesday at 10 30 am".
    """
    spoken = text.lower().replace("’", "'").replace("`", "'")
    spoken = _FILLERS.sub(" ", spoken)
    spoken = re.sub(r"(?<=\d)\.(?=\d\d\b)", ":", spoken)  # 10.30, as some write a time
    spoken = re.sub(r"\b(\d{1,2})-(\d\d)\b", r"\1 \2", spoken)
    spoken = spoken.replace("-", " ")
    for wrong, right in _MISHEARD:
        spoken = re.sub(wrong, right, spoken)
    tokens = [_mended(token) for token in _WORD.findall(spoken)]
    joined = " ".join(_numbers(tokens))
    return re.sub(r"^(?:[,.;] )+", "", joined).strip()


def plain(spoken: str) -> str:
    """`words` without punctuation."""
    return " ".join(token for token in spoken.split() if token not in set(",.?!;"))


def digits(spoken: str) -> str:
    """The digits of a telephone number that was said, "double 5" and "oh" understood; empty when there are none."""
    text = re.sub(r"\b(?:oh|o)\b", "0", plain(spoken))
    text = re.sub(r"\bdouble (\d)\b", r"\1 \1", text)
    text = re.sub(r"\btriple (\d)\b", r"\1 \1 \1", text)
    return "".join(re.findall(r"\d", re.sub(r"\d+:\d\d", "", text)))


def _mended(token: str) -> str:
    if len(token) < 6 or token in _KEYWORDS or token in _TENS or token in _ORDINALS or token in _UNITS:
        return token
    near = get_close_matches(token, _KEYWORDS, n=1, cutoff=0.86)
    return near[0] if near else token


def _numbers(tokens: list[str]) -> list[str]:
    """Number words as digits: "twenty fourth" is "24th", "ten thirty" stays two numbers."""
    out: list[str] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        following = tokens[index + 1] if index + 1 < len(tokens) else ""
        index += 1
        if token in _TENS and following in _UNITS[1:10]:
            out.append(str(_TENS[token] + _UNITS.index(following)))
            index += 1
        elif token in _TENS and 1 <= _ORDINALS.get(following, 0) <= 9:
            out.append(f"{_TENS[token] + _ORDINALS[following]}th")
            index += 1
        elif token in _TENS:
            out.append(str(_TENS[token]))
        elif token in _UNITS:
            out.append(str(_UNITS.index(token)))
        elif token in _ORDINALS and token != "second":
            out.append(f"{_ORDINALS[token]}th")
        else:
            out.append(token)
    return out
