"""What a caller's words say about being recorded. English, pure."""

import re

_YES = re.compile(r"\b(yes|yeah|yep|sure|okay|ok|fine|of course|go ahead|agree|no problem|don't mind)\b", re.IGNORECASE)
_NO = re.compile(r"\b(no|not|nope|rather not|don't want|refuse)\b(?! problem)", re.IGNORECASE)


def agrees(text: str) -> bool:
    """Whether the answer to "may we record?" is a yes. In doubt it is not."""
    return bool(_YES.search(text)) and not _NO.search(re.sub(r"(?i)don't mind|no problem", "", text))


def refuses(text: str, phrases: tuple[str, ...]) -> bool:
    """Whether the caller says one of the definition's opt-out phrases."""
    said = " ".join(re.findall(r"[\w']+", text.lower()))
    return any(" ".join(re.findall(r"[\w']+", phrase.lower())) in said for phrase in phrases)
