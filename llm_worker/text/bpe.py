"""Trains a small vocabulary and writes it as the content of a `tekken.json`, which `Tekken` and others read."""

import base64
import re
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import Any

from tokenizers import Regex, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Trained

from llm_worker.text.tokenizer import CONTROLS

RESERVED = 40
"""Ids of control tokens; those of the family have the same ids here."""
_OFTEN = 100
"""Times that a word with a capital has to come to be a piece as a whole."""

_CAPITALISED = re.compile(r"\b[A-Z][a-z]+\b(?!['’_])")


def pattern(whole: Iterable[str]) -> str:
    """How text is cut before pairs are merged: an expression that `tokenizers` and tiktoken read alike.

    `whole`: words that begin with a capital and are no names, which stay whole. Other words lose their first letter:
    names are copied between speech and arguments, and so are the same pieces in both, but for the space before the
    first.
    """
    words = "|".join(re.escape(word) for word in sorted(whole, key=lambda word: (-len(word), word)))
    return "|".join(
        (
            # What stands between the values of JSON, keys included: nine tenths of a tool's schema.
            r'(?:"?[\]}]*,? ?[\[{]*"[A-Za-z_]+": ?)+[\[{]*"?',
            *([rf" ?(?:{words})(?![\p{{L}}\p{{M}}'’_])"] if words else []),
            r" ?\p{Lu}(?=\p{Ll})",
            # A word has the space before it; what is contracted stays one word, and so does an identifier.
            r" ?[\p{L}\p{M}]+(?:['’_][\p{L}\p{M}]+)*",
            # Dates and times by two digits: 20 28 -05 -31, 17 :15. Other numbers by one, to be spelt and copied.
            r"[-:]\p{N}{2}(?!\p{N})| ?\p{N}{2}(?=[-:]\p{N}{2}(?!\p{N}))",
            r" ?\p{N}{2}(?=\p{N}{2}-\p{N}{2}(?!\p{N}))| ?\p{N}",
            # Runs of signs, line ends, white space.
            r" ?[^\s\p{L}\p{M}\p{N}]+|\s*[\r\n]+|\s+(?!\S)|\s+",
        )
    )


def train_bpe(texts: Iterable[str], size: int, least: int = 2) -> dict[str, Any]:
    """A vocabulary of at most `size` ids for `texts`: the content of a `tekken.json`.

    It is smaller where `texts` do not hold enough pairs that come `least` times. The same texts give the same
    vocabulary. Raises ValueError where `size` leaves no room for control tokens and bytes.
    """
    if size < RESERVED + 256:
        raise ValueError(f"{size} ids are too few: {RESERVED} control tokens and 256 bytes are always there")
    read = list(texts)
    counted = Counter(word for text in read for word in _CAPITALISED.findall(text))
    cut = pattern(word for word, count in counted.items() if count >= _OFTEN)
    trained = Trained(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(cut), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size - RESERVED,
        min_frequency=least,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator(read, trainer)
    return _content(trained, cut)


def _content(trained: Trained, cut: str) -> dict[str, Any]:
    """Bytes have their value as rank, as everywhere in the family; merges follow in the order of their making."""
    written = _bytes_of_signs()
    vocabulary = sorted(trained.get_vocab().items(), key=lambda entry: entry[1])
    merged = [bytes(written[sign] for sign in token) for token, _ in islice(vocabulary, 256, None)]
    tokens = [*(bytes([value]) for value in range(256)), *merged]
    return {
        "config": {
            "pattern": cut,
            "num_vocab_tokens": len(tokens),
            "default_vocab_size": RESERVED + len(tokens),
            "default_num_special_tokens": RESERVED,
            "version": "v15",
        },
        "vocab": [_entry(rank, token) for rank, token in enumerate(tokens)],
        "special_tokens": [
            {"rank": number, "token_str": CONTROLS.get(number, f"<SPECIAL_{number}>"), "is_control": True}
            for number in range(RESERVED)
        ],
        "model_settings_builder": {
            "reasoning_effort": {
                "type": "enum",
                "values": ["none", "high"],
                "accepts_none": True,
                "default": "none",
            }
        },
        "version": 1,
        "type": "Tekken",
    }


def _entry(rank: int, token: bytes) -> dict[str, Any]:
    try:
        text = token.decode()
    except UnicodeDecodeError:
        text = None
    return {"rank": rank, "token_bytes": base64.b64encode(token).decode(), "token_str": text}


def _bytes_of_signs() -> dict[str, int]:
    """The sign that `tokenizers` writes for each byte: what is printable for itself, the rest from U+0100 on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [value for value in range(256) if value not in plain]
    return {chr(value): value for value in plain} | {chr(256 + n): value for n, value in enumerate(others)}
