"""Recognised speech to words that rules can read: small letters, number words as digits, fillers gone, known slips
of the recogniser mended."""

import re
from difflib import get_close_matches
from functools import lru_cache

from llm_worker.backends.frontdesk.words import KEYWORDS, MONTHS, ORDINALS, TENS, UNITS

_FILLERS = re.compile(r"\b(?:u+h+m*|u+m+|e+r+m*|h+m+|ah+|like,|you know,?|i mean,?(?= (?:uh|um)))(?=\W|$),?", re.I)
_AGREEING = re.compile(r"\b(?:u+h+[- ]?hu+h+|m+[- ]?h+m+|a+h+[- ]?ha+h*)\b")
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
    (r"\bjan\b", "january"),
    (r"\bfeb\b", "february"),
    (r"\baug\b", "august"),
    (r"\bsept?\b", "september"),
    (r"\boct\b", "october"),
    (r"\bnov\b", "november"),
    (r"\bdec\b", "december"),
    (r"\bre schedule\b|\breschedual\b", "reschedule"),
    (r"\bcan sell\b|\bcansel\b|\bcounsel\b|\bcancelled?\b|\bcanceled\b", "cancel"),
    (r"\bo'?clock\b|\ba clock\b|\boh clock\b", "oclock"),
    (r"\ba\.? ?m\b\.?", "am"),
    (r"\bp\.? ?m\b\.?", "pm"),
)
_BEFORE_ONE = frozenset({"the", "that", "this", "second", "last", "which", "any", "another", "next", "no"})
_WORD = re.compile(r"[a-z']+|\d+(?::\d\d)?(?:st|nd|rd|th)?|[,.?!;]")


@lru_cache(maxsize=1024)  # a call is replayed for each answer, so the same texts come again and again
def words(text: str) -> str:
    """The text as rules read it. Commas and full stops stay, as words of their own.

    "Um, Tuesday at ten-thirty a.m." becomes "tuesday at 10 30 am".
    """
    spoken = text.lower().replace("’", "'").replace("`", "'")
    spoken = _AGREEING.sub("yes", spoken)
    spoken = _FILLERS.sub(" ", spoken)
    spoken = re.sub(r"(?<=\d)\.(?=\d\d\b)", ":", spoken)  # 10.30, as some write a time
    spoken = re.sub(r"\b(\d{1,2})-(\d\d)\b", r"\1 \2", spoken)
    spoken = spoken.replace("-", " ")
    spoken = re.sub(r"\b(1[0-2]|0?[1-9])/([0-3]?\d)\b", lambda m: f"{MONTHS[int(m[1]) - 1]} {m[2]}", spoken)
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


@lru_cache(maxsize=4096)
def _keyword(token: str) -> str:
    near = get_close_matches(token, KEYWORDS, n=1, cutoff=0.86)
    return near[0] if near else token


def _mended(token: str) -> str:
    if len(token) < 6 or token in KEYWORDS or token in TENS or token in ORDINALS or token in UNITS:
        return token
    return _keyword(token)


def _numbers(tokens: list[str]) -> list[str]:
    """Number words as digits: "twenty fourth" is "24th", "ten thirty" stays two numbers."""
    out: list[str] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        following = tokens[index + 1] if index + 1 < len(tokens) else ""
        index += 1
        if token in TENS and following in UNITS[1:10]:
            out.append(str(TENS[token] + UNITS.index(following)))
            index += 1
        elif token in TENS and 1 <= ORDINALS.get(following, 0) <= 9:
            out.append(f"{TENS[token] + ORDINALS[following]}th")
            index += 1
        elif token in TENS:
            out.append(str(TENS[token]))
        elif token == "one" and out and (out[-1] in _BEFORE_ONE or out[-1].endswith("th")):
            out.append(token)
        elif token in UNITS:
            out.append(str(UNITS.index(token)))
        elif token in ORDINALS and token != "second":
            out.append(f"{ORDINALS[token]}th")
        else:
            out.append(token)
    return out
