"""Text ↔ token ids: byte pairs by rank, and control tokens that no text can make.

Vocabularies are `tekken.json` files, the published model's and our own small ones alike: an id is a rank plus the
number of control tokens, so ids below that number are control tokens and nothing else is.
"""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import tiktoken

BOS, EOS, PAD = "<s>", "</s>", "<pad>"
INST, INST_END = "[INST]", "[/INST]"
TOOLS, TOOLS_END = "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"
RESULT, RESULT_END = "[TOOL_RESULTS]", "[/TOOL_RESULTS]"
CALL, ARGS = "[TOOL_CALLS]", "[ARGS]"
SYSTEM, SYSTEM_END = "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"
THINK, THINK_END = "[THINK]", "[/THINK]"
SETTINGS, SETTINGS_END = "[MODEL_SETTINGS]", "[/MODEL_SETTINGS]"

CONTROLS = {
    **dict(enumerate(["<unk>", BOS, EOS, INST, INST_END, TOOLS, TOOLS_END, RESULT, RESULT_END, CALL])),
    **dict(enumerate(["[IMG]", PAD, "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]"], 10)),
    **dict(enumerate([SYSTEM, SYSTEM_END, "[TOOL_CONTENT]"], 17)),
    **dict(enumerate([ARGS, "[CALL_ID]", THINK, THINK_END, SETTINGS, SETTINGS_END], 32)),
}
"""Control tokens of the family by id, as published with version 15 of its vocabulary."""


class TokenizerError(Exception):
    """The file is no vocabulary, or lacks a control token; says what is missing."""


class Tokenizer(Protocol):
    """What prompts, answers and grammars need of a vocabulary."""

    @property
    def size(self) -> int:
        """Number of ids."""
        ...

    @property
    def controls(self) -> int:
        """Ids below this are control tokens."""
        ...

    @property
    def eos(self) -> int:
        """The id that ends an answer."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of ordinary text: nothing in it is taken for a control token, no space is put before it.

        Lone surrogates, which have no UTF-8, become U+FFFD.
        """
        ...

    def control(self, name: str) -> int:
        """Id of a control token. Raises TokenizerError for one that the vocabulary lacks."""
        ...

    def decode(self, ids: Sequence[int]) -> bytes:
        """UTF-8 of ordinary ids, which can begin or end within a character; control tokens give nothing."""
        ...


class Tekken:
    """A `tekken.json`, through tiktoken."""

    def __init__(self, content: dict[str, Any]) -> None:
        """`content`: the parsed file. Raises TokenizerError."""
        try:
            config = content["config"]
            self.size = int(config["default_vocab_size"])
            self.controls = int(config["default_num_special_tokens"])
            # Only so many entries take part; the file has more, whose ids would lie beyond the model's table.
            entries = content["vocab"][: self.size - self.controls]
            ranks = {base64.b64decode(entry["token_bytes"]): int(entry["rank"]) for entry in entries}
            self._ids = {str(entry["token_str"]): int(entry["rank"]) for entry in content["special_tokens"]}
            pattern = str(config["pattern"])
        except (KeyError, TypeError, ValueError) as error:
            raise TokenizerError(f"no tekken vocabulary: {type(error).__name__} {error}") from None
        if sorted(ranks.values()) != list(range(self.size - self.controls)):
            raise TokenizerError(f"no tekken vocabulary: {self.size - self.controls} ranks from 0 on are needed")
        if missing := [number for number in range(256) if bytes([number]) not in ranks]:
            raise TokenizerError(f"no tekken vocabulary: byte {missing[0]} has no token")
        if wrong := [name for name, number in self._ids.items() if not 0 <= number < self.controls]:
            raise TokenizerError(f"no tekken vocabulary: {wrong[0]} is not among the first {self.controls} ids")
        try:
            self._encoding = tiktoken.Encoding("tekken", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
        except ValueError as error:
            raise TokenizerError(f"no tekken vocabulary: its pattern: {error}") from None
        self.eos = self.control(EOS)

    @classmethod
    def read(cls, path: Path) -> "Tekken":
        """Raises TokenizerError."""
        try:
            content = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise TokenizerError(f"{path}: {error}") from None
        if not isinstance(content, dict):
            raise TokenizerError(f"{path}: no tekken vocabulary: not an object")
        return cls(content)

    def encode(self, text: str) -> list[int]:
        """See Tokenizer."""
        return [rank + self.controls for rank in self._encoding.encode_ordinary(text)]

    def control(self, name: str) -> int:
        """See Tokenizer."""
        if name not in self._ids:
            raise TokenizerError(f"the vocabulary has no control token {name}")
        return self._ids[name]

    def decode(self, ids: Sequence[int]) -> bytes:
        """See Tokenizer."""
        return self._encoding.decode_bytes([number - self.controls for number in ids if number >= self.controls])


def settled(text: str) -> int:
    """How much of a text that still grows has its final tokens: code points up to its last word.

    Vocabularies of the family, and ours, split text before they merge, and no piece reaches from a letter or digit over
    a space. So whatever follows, the ids of `text[:settled(text)]` stay at the beginning.
    """
    end = len(text)
    while (end := text.rfind(" ", 0, end)) > 0:
        if text[end - 1].isalnum():
            return end
    return 0
