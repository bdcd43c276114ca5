"""Text ↔ token ids, without torch: Mistral's tekken vocabularies, and plain bytes for small models."""

import base64
import json
from pathlib import Path
from typing import Any, Protocol

import tiktoken

BOS, AUDIO, BEGIN_AUDIO, REPEAT, NEXT = "<s>", "[AUDIO]", "[BEGIN_AUDIO]", "[REPEAT_AUDIO_TEXT]", "[NEXT_AUDIO_TEXT]"
_PUBLISHED = {BOS: 1, AUDIO: 24, BEGIN_AUDIO: 25, REPEAT: 35, NEXT: 36}


class TokenizerError(Exception):
    """The file is no tekken vocabulary; says what is missing."""


class Tokenizer(Protocol):
    """What a prompt needs of a vocabulary."""

    def encode(self, text: str) -> list[int]:
        """Ids of ordinary text: nothing in it is taken for a special token."""
        ...

    def special(self, name: str) -> int:
        """Id of a special token. Raises TokenizerError for one that the vocabulary lacks."""
        ...


class Bytes:
    """A token for each byte of UTF-8, from 256 on; the special tokens have their published ids."""

    size = 512

    def encode(self, text: str) -> list[int]:
        """See Tokenizer."""
        return [256 + byte for byte in text.encode("utf-8", "replace")]

    def special(self, name: str) -> int:
        """See Tokenizer."""
        return _special(_PUBLISHED, name)


class Tekken:
    """`tekken.json`: byte pairs by rank after a split by pattern. An id is a rank plus the number of special tokens."""

    def __init__(self, content: dict[str, Any]) -> None:
        """`content`: the parsed file. Raises TokenizerError."""
        try:
            config = content["config"]
            self.size = int(config["default_vocab_size"])
            self._specials = int(config["default_num_special_tokens"])
            # Only so many entries take part; the file has more, whose ids would lie beyond the model's table.
            entries = content["vocab"][: self.size - self._specials]
            ranks = {base64.b64decode(entry["token_bytes"]): int(entry["rank"]) for entry in entries}
            self._names = {entry["token_str"]: int(entry["rank"]) for entry in content["special_tokens"]}
            self.voice_frames = dict(content.get("audio", {}).get("voice_num_audio_tokens", {}))
            """Rows of each reference voice."""
            self._encoding = tiktoken.Encoding("tekken", pat_str=config["pattern"], mergeable_ranks=ranks,
                                               special_tokens={})  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise TokenizerError(f"no tekken vocabulary: {type(error).__name__} {error}") from None

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
        """See Tokenizer. The text is taken as it is: no normalisation, no space put before it."""
        return [rank + self._specials for rank in self._encoding.encode_ordinary(text)]

    def special(self, name: str) -> int:
        """See Tokenizer."""
        return _special(self._names, name)


def _special(names: dict[str, int], name: str) -> int:
    if name not in names:
        raise TokenizerError(f"the vocabulary has no special token {name}")
    return names[name]
