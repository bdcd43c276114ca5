"""Vocabularies to test with: a small one trained here, and one of the published files."""

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from llm_worker.text.bpe import train_bpe
from llm_worker.text.tokenizer import CONTROLS, Tekken

SENTENCES = [
    "Good morning, Harbour Street Practice. How can I help you?",
    "I would like to book an appointment on Thursday at 10:30, please.",
    "I'm sorry, that's already taken. There is a free slot at 9:45 or at 14:00. Would that suit you?",
    "My name is Kowalski, K-O-W-A-L-S-K-I. The number is 0151 2345678.",
    'book_appointment{"name": "Ann Kowalski", "day": "2026-11-26", "time": "10:30", "reason": "a sore throat"}',
    '[{"type": "function", "function": {"name": "find_slots", "description": "", "parameters": {"type": "object"}}}]',
    "Größe, naïve, 東京, мир and 👋🏽: not every word is plain.",
]


@cache
def content() -> dict[str, Any]:
    """A vocabulary of 500 ids, as a `tekken.json` holds it."""
    return train_bpe(SENTENCES * 4, 500)


@cache
def small() -> Tekken:
    """The vocabulary of `content`."""
    return Tekken(content())


def published_file() -> Path:
    """A published vocabulary with the pieces of version 15. The version differs in names of control tokens only."""
    return Path(str(files("mistral_common"))) / "data" / "tekken_240911.json"


@cache
def published() -> Tekken:
    """The published vocabulary with the control tokens of version 15."""
    names = [{"rank": rank, "token_str": name, "is_control": True} for rank, name in CONTROLS.items()]
    return Tekken(json.loads(published_file().read_text("utf-8")) | {"special_tokens": names})
