"""Whether the front desk has made something up: slots, prices, names, or things done that were not. PURE.

A time or a name is not invented if a tool gave it, the prompt has it, or the caller said it; what is merely read back
with a question may be misheard, which is another mistake.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, time

from llm_worker.backends.frontdesk import hear
from llm_worker.forge.ear import Ask, Heard, listen, named
from llm_worker.messages import Message, Role

_PRICE = re.compile(r"(?:[$£€]\s?(\d[\d,.]*)|\b(\d[\d,.]*)\s?(?:dollars|pounds|euros|bucks|quid)\b)", re.IGNORECASE)
_TITLED = re.compile(r"\b(?:Doctor|Dr\.?|Nurse) ([A-Z][\w'’-]+(?: [A-Z][\w'’-]+)?)")
_CLAIMS = {
    "book_appointment": re.compile(
        r"\b(you're|you are|it's|that's|i've|have) (now |all )?booked\b|have you down", re.IGNORECASE
    ),
    "move_appointment": re.compile(r"\b(is|been|i've|have) (now )?(moved|rescheduled)\b|it's now on", re.IGNORECASE),
    "cancel_appointment": re.compile(r"\b(is|been|i've|have) (now )?cancell?ed\b", re.IGNORECASE),
    "take_message": re.compile(
        r"\bi've (taken|noted|passed)|message is (noted|passed)|passed (it|that|your)", re.IGNORECASE
    ),
}


@dataclass
class _Known:
    """What may be said at some point of a call."""

    prompt: str
    today: date
    times: set[time] = field(default_factory=set)
    dates: set[date] = field(default_factory=set)
    words: str = ""
    """Of the caller and the tools, letters and digits only, so that what was spelled counts too."""
    done: set[str] = field(default_factory=set)


def inventions(messages: Sequence[Message], prompt: str, today: date) -> list[str]:
    """What was made up, in words for a report. `prompt`: the system prompt with all facts."""
    known = _Known(prompt, today, set(listen(prompt, today).times))
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    found: list[str] = []
    for message in messages:
        match message.role:
            case Role.USER:
                known.times |= said_times(message.text, today)
                known.words += letters(message.text)
            case Role.TOOL:
                _learn(known, names.get(message.tool_call_id, ""), message.text)
            case Role.ASSISTANT if message.text:
                found += _in(message.text, known)
    return found


_MINUTES_AND_HOUR = re.compile(r"\b(\d{1,2})(?: minutes?)? (past|after|to|of|till|before) (\d{1,2})\b")
_HOUR_AND_MINUTES = re.compile(r"\b(\d{1,2})(?: (?:0 |oh |o )?(\d{1,2}))?\b")


def said_times(text: str, today: date) -> set[time]:
    """Every time that a caller's words can mean: any number may be one, and "eight" in the morning or the evening."""
    spoken = hear.plain(hear.words(text))
    for word, minutes in (("half", "30"), ("a quarter", "15"), ("quarter", "15")):
        spoken = re.sub(rf"\b{word}\b", minutes, spoken)
    found = {(at.hour, at.minute) for at in listen(text, today).times}
    found |= {
        (int(hour), int(minutes)) if word in ("past", "after") else (int(hour) - 1, 60 - int(minutes))
        for minutes, word, hour in _MINUTES_AND_HOUR.findall(spoken)
    }
    found |= {(int(hour), int(minutes or 0)) for hour, minutes in _HOUR_AND_MINUTES.findall(spoken)}
    found |= {(int(hour), 0) for hour in re.findall(r"\b\d{1,2}\b", spoken)}
    found |= {(int(pair[:-2]), int(pair[-2:])) for pair in re.findall(r"\b\d{3,4}\b", spoken)}
    both = {((hour + half) % 24, minute) for hour, minute in found for half in (0, 12) if 0 <= hour <= 24}
    return {time(hour, minute) for hour, minute in both if minute < 60}


def letters(text: str) -> str:
    """Small letters and digits, without anything between them."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _learn(known: _Known, tool: str, content: str) -> None:
    try:
        result = json.loads(content)
    except ValueError:
        return
    if not isinstance(result, dict):
        return
    entries = [result, *result.get("appointments", [])]
    for entry in entries:
        known.times |= {time.fromisoformat(at) for at in (*entry.get("slots", ()), entry.get("time")) if at}
        known.dates |= {date.fromisoformat(day) for day in (entry.get("day"),) if day}
        known.words += letters(str(entry.get("name", "")))
    if "error" not in result:
        known.done.add(tool)


def _in(text: str, known: _Known) -> list[str]:
    heard = listen(text, known.today)
    found = [
        f"said without having done it: {tool}"
        for tool, claim in _CLAIMS.items()
        if claim.search(text) and tool not in known.done
    ]
    found += _prices(text, known)
    found += [
        f"staff: {name}"
        for name in _TITLED.findall(text)
        if name.split()[-1].lower() not in known.prompt.lower() and letters(name) not in known.words
    ]
    found += [f"name: {name}" for name in named(text) if not _is_known(name, known)]
    return found + _times(heard, known)


def _prices(text: str, known: _Known) -> list[str]:
    said = [(one or other).strip(".,") for one, other in _PRICE.findall(text)]
    return [f"price: {price}" for price in said if not re.search(rf"(?<!\d){re.escape(price)}(?!\d)", known.prompt)]


def _is_known(name: str, known: _Known) -> bool:
    text = letters(known.prompt) + known.words
    return all(letters(word) in text for word in name.split())


def _times(heard: Heard, known: _Known) -> list[str]:
    """Times and days that are offered or promised; a question that reads back is no promise."""
    if heard.ask is Ask.CONFIRM:
        return []
    found = [f"time: {at:%H:%M}" for at in heard.times if at not in known.times]
    if heard.done:
        found += [f"day: {day.isoformat()}" for day in heard.dates if day not in known.dates]
    return found
