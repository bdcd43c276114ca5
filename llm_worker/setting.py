"""What the model is told of the moment of a call: today, and the dates of the coming days. PURE.

A small model cannot be trusted to count days, but it can look a date up: "Thursday week" is the second Thursday of the
list. What differs between the calls of a day comes last: the cache holds the rest once for all of them.
"""

from datetime import datetime, timedelta

DAYS = 21
"""Days that are listed, today included: "the week after next" is within them."""


def setting(now: str, language: str = "") -> str:
    """Sentences for the end of the system prompt; empty when nothing is known.

    `now` is RFC 3339 with or without offset; what cannot be read is handed on as it is. "The language is en. The coming
    days: Tuesday 2026-11-24, Wednesday 2026-11-25, … Now it is Tuesday 2026-11-24, 09:12."
    """
    sentences = []
    if language:
        sentences.append(f"The language is {language}.")
    if now:
        try:
            moment = datetime.fromisoformat(now)
        except ValueError:
            sentences.append(f"The call began at {now}.")
        else:
            days = ", ".join(f"{moment + timedelta(days=ahead):%A %Y-%m-%d}" for ahead in range(DAYS))
            sentences.append(f"The coming days: {days}. Now it is {moment:%A %Y-%m-%d, %H:%M}.")
    return " ".join(sentences)
