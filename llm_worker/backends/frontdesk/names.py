"""Names of people in recognised speech, introduced ("this is Anna"), answered, spelled or corrected."""

import re
from difflib import SequenceMatcher

_STRONG = re.compile(
    r"\b(?:my name is|my name's|my name,?|the name is|the name's|name is|name should be|the name of|under the name|"
    r"under|this is|i am|i'm|call me)\s+",
    re.I,
)
_ASKED = re.compile(r"\b(?:it's|it is|it should be|that's|that is|that would be|it'd be|for|yes|sure)[,\s]+", re.I)
_LETTERS = re.compile(r"(?:(?<=\s)|^)((?:double [a-z]|[a-z](?: (?:as in|for|like) [a-z]+)?)(?:[\s,.-]+|$)){3,}", re.I)
_LETTER = re.compile(r"(double )?\b([a-z])\b(?: (?:as in|for|like) [a-z]+)?", re.I)
_TITLES = {"mr", "mrs", "ms", "miss", "mister", "missus"}
# What follows "I'm" or "this is", or is answered to "your name?", without being a name.
_OTHER_WORDS = frozenset(
    """a about actually afraid afternoon again ah all already also am an and another any anything appointment april
    are as ask asking at august available be because book booking bot but by bye call calling can cancel capital
    change check checking closed come could correct cost dad daughter day december did do doctor doctors does doing done dr eh er
    evening excuse february fine first for free friday from get give go going gonna good great guess happy have having hear
    hello help here hey hi hold hoping how human hum husband i i'd i'll i'm i've if ill in interested is it it's january july june
    just know later like likely look looking machine make march may maybe me message mind minute moment mom monday month morning mother move my name never
    need new next no nope not november now number of off oh ok okay on one open opening or our over pardon patient person
    please pm prefer price question quite ready real really regarding repeat reschedule right robot running same saturday say second see
    september several should sick so some someone son sorry spell spelled spelling spelt still sunday sure talk talking test
    thank thanks that that's the then there they this thursday time to today told tomorrow trying tuesday uh um unable under until up
    urgent very wait want wanting was we wednesday week well what what's when where which who why wife will with wondering would wrong
    yeah yep yes you your zero two three four five six seven eight nine ten eleven twelve october as instead double hundred
    address hours answer""".split()
)


def find(text: str, asked: bool) -> str:
    """The name in a text as the recogniser wrote it; empty when there is none. `asked`: a name was asked for."""
    spelled, rest = _spelled(text)
    said = _introduced(rest) or (_answered(rest) if asked else "")
    if not spelled:
        return said
    return corrected(said, spelled) if said else (spelled if asked or re.search(r"spell|name", text, re.I) else "")


def corrected(name: str, other: str) -> str:
    """`name` after the caller said or spelled `other`: all of it, or the part of it that is most like it."""
    parts = name.split()
    if not parts or len(other.split()) > 1:
        return other or name
    joined = "".join(parts)
    if len(parts) == 2 and _alike(joined, other) > 0.75:  # both names spelled in one go
        cut = len(parts[0])
        return f"{_cased(other[:cut])} {_cased(other[cut:])}"
    scores = [_alike(part, other) for part in parts]
    best = max(range(len(parts)), key=scores.__getitem__)
    if scores[best] >= 0.5:
        parts[best] = other
    elif len(parts) == 1:
        parts.append(other)
    else:
        parts[-1] = other
    return " ".join(parts)


def replaced(text: str, name: str) -> str:
    """The new name when the text says "not X but Y" and X is a part of `name`; else empty."""
    said = re.search(r"\bnot ([a-z']+)[\s,.]+(?:but |it's |it is )?([a-z']+)\W*$", text, re.I)
    if said and name and said[2].lower() not in _OTHER_WORDS:
        for part in name.split():
            if _alike(part, said[1]) >= 0.7:
                return name.replace(part, _cased(said[2]))
    return ""


def _alike(one: str, other: str) -> float:
    return SequenceMatcher(None, one.lower(), other.lower()).ratio()


def _spelled(text: str) -> tuple[str, str]:
    """The spelled word, and the text without the letters."""
    runs = [run for run in _LETTERS.finditer(text) if len(_LETTER.findall(run[0])) >= 3]
    if not runs:
        return "", text
    run = runs[-1]
    letters = "".join(letter * (2 if double else 1) for double, letter in _LETTER.findall(run[0]))
    return _cased(letters), f"{text[: run.start()]} {text[run.end() :]}"


def _introduced(text: str) -> str:
    for intro in reversed(list(_STRONG.finditer(text))):
        verb_follows = intro[0].lower().strip() in {"i'm", "i am", "this is", "under"}
        if name := _collected(text[intro.end() :], strict=verb_follows):
            return name
    return ""


def _answered(text: str) -> str:
    """A name that is the whole answer, but for politeness."""
    for intro in reversed(list(_ASKED.finditer(text))):
        if name := _collected(text[intro.end() :]):
            return name
    candidates = [_collected(part) for part in re.split(r"[.?!,;]", text)]
    named = [name for name in candidates if name]
    return max(named, key=lambda name: (min(len(name.split()), 2), -candidates.index(name))) if named else ""


def _collected(text: str, strict: bool = False) -> str:
    """The words at the beginning that can be a name: at most four."""
    name: list[str] = []
    for token in text.split():
        word = token.strip(".,?!;:\"()").replace("’", "'")
        bare = word.lower().removesuffix("'s") if word.lower().endswith("'s") else word.lower()
        if bare in _TITLES and not name:
            continue
        if not re.fullmatch(r"[^\W\d_][^\W\d_'-]*", word) or bare in _OTHER_WORDS:
            if not name and bare in {"uh", "um", "er", "well", "so", "yes", "okay", "sure", "hi", "hello", "oh"}:
                continue
            break
        if strict and not name and re.search(r"(?:ing|ed|ly)$", bare) and not word[0].isupper():
            break
        name.append(_cased(word))
        if len(name) == 4 or token[-1] in ".,?!;:":
            break
    return " ".join(name) if name and len("".join(name)) > 1 else ""


def _cased(word: str) -> str:
    """"o'brien" as O'Brien; a word that has capitals already stays, unless it has nothing else."""
    if any(c.isupper() for c in word) and not (word.isupper() and len(word) > 1):
        return word
    return re.sub(r"(^|['-])(\w)", lambda m: m[1] + m[2].upper(), word.lower())
