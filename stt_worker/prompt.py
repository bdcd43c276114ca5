"""How hints reach a Whisper model: PURE. It takes them as text that came before, so they must read like text."""

from collections.abc import Callable, Sequence

EXAMPLES = "Address: 12 Harbour Street. Phone: 555-0136."
"""Shows the spelling of numbers. The wording measured best of eleven on 105 telephone utterances with 22 names, 12 of
them decoys: 4.0 % word errors against 5.3 % for the bare list and 8.0 % for none, names right 83 % against 30 %."""


def prompt_text(hints: Sequence[str]) -> str:
    """The prompt, or "" without hints: examples alone make it worse."""
    names = ", ".join(hint.strip().rstrip(".") for hint in hints if hint.strip())
    return f"Names: {names}. {EXAMPLES}" if names else ""


def prompt_tokens(hints: Sequence[str], encode: Callable[[str], list[int]], limit: int) -> list[int]:
    """Tokens of the prompt, at most `limit`: the last hints are left out until it fits."""
    kept = list(hints)
    while kept:
        tokens = encode(f" {prompt_text(kept)}")
        if len(tokens) <= limit:
            return tokens
        kept = kept[: max(len(kept) - 1, 0) if len(kept) < 8 else len(kept) * 7 // 8]
    return []
