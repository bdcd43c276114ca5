"""Personal data out of transcripts: names of the lists, numbers and e-mail addresses become other ones. PURE.

It is a help, not a guarantee. What it does not find: names that are in no list, addresses, dates of birth, diagnoses,
and everything that only tells in context who somebody is. Digits are exchanged by a key of the call, so equal numbers
stay equal within a call. Read a sample before you train on it.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import replace

from llm_worker.backends.frontdesk.words import UNITS
from llm_worker.forge.grammar import load
from llm_worker.forge.practice import people
from llm_worker.forge.records import Conversation
from llm_worker.messages import Message

SHORTEST_NUMBER = 6
"""Digits from which on a row of them can be a telephone or insurance number."""
_EMAIL = re.compile(r"[\w.+-]+(?:@| at )[\w-]+(?:\.| dot )(?:[\w-]+(?:\.| dot ))*[a-z]{2,}\b", re.IGNORECASE)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_DIGIT = rf"(?:\d+|{'|'.join(UNITS[:10])}|oh)"
_NUMBER = re.compile(rf"(?<![\w-])\+?\(?{_DIGIT}(?:[\s,.()-]{{1,3}}{_DIGIT}|\d)*(?![\w-])", re.IGNORECASE)
_SPELT = re.compile(r"\b(?:[A-Z](?:[\s,.-]{1,2}))(?:[A-Z][\s,.-]{1,2}){1,20}[A-Z]\b")


def scrub(conversation: Conversation, extra_names: Mapping[str, str] | None = None) -> Conversation:
    """The conversation with other names and numbers, the same wherever the old ones stood; the system prompt stays.

    `extra_names`: words in small letters that are names here, and what takes their place.
    """
    exchange = _Exchange(conversation, extra_names or {})
    first = next((n for n, message in enumerate(conversation.messages) if message.role != "system"), 0)
    kept, others = conversation.messages[:first], conversation.messages[first:]
    messages = (*kept, *(exchange.message(message) for message in others))
    return replace(conversation, messages=messages)


class _Exchange:
    """What takes the place of what, in one call."""

    def __init__(self, conversation: Conversation, extra_names: Mapping[str, str]) -> None:
        draw = random.Random(f"{conversation.source} {conversation.id}")
        given, family = people("train")
        self._digits = draw.sample("0123456789", 10)
        self._known = {name.lower(): draw.choice(given) for name in str(load("names")["given"]).split()}
        self._known |= {name.lower(): draw.choice(family) for name in str(load("names")["family"]).split()}
        self._known |= extra_names
        # What the prompt says of the practice's own people is no secret, and must stay true.
        prompt = " ".join(message.text for message in conversation.messages if message.role == "system").lower()
        self._open = set(re.findall(r"[\w'’-]+", prompt))

    def message(self, message: Message) -> Message:
        """The message in other words; ids of tokens no longer fit and go."""
        calls = tuple(replace(call, arguments=self.text(call.arguments), token_ids=()) for call in message.tool_calls)
        return replace(message, text=self.text(message.text), tool_calls=calls, token_ids=())

    def text(self, text: str) -> str:
        """One text, as words or as JSON."""
        text = _EMAIL.sub("name@example.org", text)
        text = _SPELT.sub(self._spelt, text)
        text = _NUMBER.sub(self._number, text)
        # A capital tells a name from "may", "rose" or "will"; recognisers write it.
        return re.sub(r"[^\W\d_][\w'’-]*", self._word, text)

    def _word(self, match: re.Match[str]) -> str:
        word = match[0]
        bare, ending = (word[:-2], word[-2:]) if word.endswith(("'s", "’s")) else (word, "")
        key = bare.lower()
        if not bare[0].isupper() or key not in self._known or key in self._open:
            return word
        other = self._known[key]
        return (other.upper() if bare.isupper() and len(bare) > 1 else other) + ending

    def _number(self, match: re.Match[str]) -> str:
        said = match[0]
        count = sum(1 if token.isalpha() else len(token) for token in re.findall(r"\d+|[a-z]+", said.lower()))
        if count < SHORTEST_NUMBER or _DAY.search(said):
            return said
        digits = re.sub(r"\d", lambda digit: self._digits[int(digit[0])], said)
        return re.sub(r"[A-Za-z]+", self._digit_word, digits)

    def _digit_word(self, match: re.Match[str]) -> str:
        word = match[0].lower()
        value = 0 if word == "oh" else UNITS.index(word)
        other = UNITS[int(self._digits[value])]
        return other.capitalize() if match[0][0].isupper() else other

    def _spelt(self, match: re.Match[str]) -> str:
        """Letters of a name, exchanged as the name is; unknown names become other letters of the same number."""
        letters = re.findall(r"[A-Z]", match[0])
        key = "".join(letters).lower()
        if key in self._open:
            return match[0]
        other = self._known.get(key) or "".join(random.Random(key).choices("AEILNORST", k=len(letters)))
        between = re.search(r"[A-Z]([\s,.-]+)[A-Z]", match[0])
        return (between[1] if between else " ").join(other.upper())
