"""What a speech model writes when nobody has spoken, and how to tell: PURE.

The limits were set on white and pink noise, hum, tones, clicks, breath and babble against short true answers
("yes", "no", "bye") through G.711: noise had a no-speech probability of 0.41 to 0.98, answers of 0.01 to 0.39.
"""

import re

SURE_NO_SPEECH = 0.7
LIKELY_NO_SPEECH = 0.4
LOW_LOG_PROBABILITY = -1.5
"""Mean per token; true answers of one word reach -1.4."""
HOPELESS_LOG_PROBABILITY = -2.4
TOKENS_PER_SECOND = 6
SPARE_TOKENS = 12
LOOPS = 6
"""A caller may say "no" five times."""
SENTENCE_WORDS = 4
"""So many words in a row are rarely said twice in a breath."""

# Subtitles of films, which the model was trained on: nobody says these to a telephone.
_SUBTITLES = re.compile(
    r"(thanks|thank you) (so much |very much )?for watching|subscribe|subtitles? by|captions? by|amara\.org|"
    r"see you in the next (video|one)"
)
_LOOP = re.compile(rf"(\D{{1,40}}?)\1{{{LOOPS - 1},}}", re.IGNORECASE)
_TWICE = re.compile(rf"\b((?:[^\W\d][\w']* ){{{SENTENCE_WORDS},16}}?)\1")


def token_cap(seconds: float) -> int:
    """Tokens that this much speech can need at most: nobody speaks faster, and a loop ends there."""
    return int(seconds * TOKENS_PER_SECOND) + SPARE_TOKENS


def loops(text: str) -> bool:
    """Whether the text turns in circles: some letters, words or phrase six times in a row. Digits may repeat."""
    flat = f"{_flat(text)} "
    return any(any(c.isalpha() for c in match[1]) for match in _LOOP.finditer(flat))


def runs_away(text: str, tokens: int, cap: int) -> bool:
    """Whether the text may be longer than what was said: it was cut at the cap, loops, or says a sentence twice."""
    return tokens >= cap or loops(text) or _TWICE.search(f"{_flat(text)} ") is not None


def unrolled(text: str) -> str:
    """The text up to the end of the first turn of its first loop."""
    for match in _LOOP.finditer(text):
        if any(c.isalpha() for c in match[1]):
            return text[: match.start() + len(match[1])].strip(" ,-")
    return text


def is_speech(text: str, no_speech: float, log_probability: float) -> bool:
    """Whether the text is what somebody said. `log_probability` is the mean of its tokens."""
    if not any(c.isalnum() for c in text) or _SUBTITLES.search(_flat(text)):
        return False
    if no_speech >= SURE_NO_SPEECH or log_probability < HOPELESS_LOG_PROBABILITY:
        return False
    return no_speech < LIKELY_NO_SPEECH or log_probability >= LOW_LOG_PROBABILITY


def _flat(text: str) -> str:
    return " ".join(re.sub(r"[^\w.']+", " ", text.casefold()).split())
