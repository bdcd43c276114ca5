"""`params.json` of the family, strictly: an unknown or missing field is an error that names it.

Field names are those of the published file. Every size of a model is read from here; the code fixes none.
"""

import json
import math
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from tts_worker.model.codec_config import Codec, Strict, integers

EMPTY, END = 0, 1
"""What each codebook has before its own entries. END as semantic code ends the speech."""
SPECIALS = 2
_ROUND = 128
"""Tables have their rows rounded up to a multiple of this."""


class ConfigError(Exception):
    """The file is not a configuration of the family; the text names file, field and what is wrong."""


class Transformer(Strict):
    """Sizes that backbone and flow head have in common."""

    dim: int = Field(gt=0)
    n_layers: int = Field(gt=0)
    head_dim: int = Field(gt=0)
    hidden_dim: int = Field(gt=0)
    n_heads: int = Field(gt=0)
    n_kv_heads: int = Field(gt=0)
    use_biases: Literal[False]
    rope_theta: float = Field(gt=0)
    norm_eps: float = Field(default=1e-5, gt=0)

    @model_validator(mode="after")
    def _consistent(self) -> "Transformer":
        if self.head_dim % 2:
            raise ValueError(f"head_dim: {self.head_dim} is odd; rotary embedding turns pairs")
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads: {self.n_heads} is no multiple of n_kv_heads, {self.n_kv_heads}")
        return self


class Flow(Transformer):
    """The flow-matching head. Its `rope_theta` is in the file and means nothing: its three tokens have no positions."""

    input_dim: int
    sigma: float
    sigma_max: float
    n_decoding_steps: int = Field(default=7, gt=0)
    """Euler steps. The published file leaves it out, and 7 is what the reference runs."""


class Encoding(Strict):
    """How codes become a stream."""

    codebook_pattern: Literal["parallel"]
    num_codebooks: int
    sampling_rate: int
    frame_rate: float
    interleave_audio_tokens_per_segment: int
    interleave_text_tokens_per_segment: int
    single_trailing_segment: bool


class AudioModel(Strict):
    """The codes as the backbone sees them, and the flow head."""

    semantic_codebook_size: int = Field(gt=0)
    acoustic_codebook_size: int = Field(gt=1)
    n_acoustic_codebook: int = Field(gt=0)
    audio_token_id: int
    begin_audio_token_id: int
    input_embedding_concat_type: Literal["sum"]
    p_uncond: float
    condition_dropped_token_id: int
    text_feature_bugged: Literal[False]
    audio_encoding_args: Encoding
    acoustic_transformer_args: Flow

    @model_validator(mode="before")
    @classmethod
    def _sizes_in_one(cls, values: Any) -> Any:
        """Some files of the family have one string instead of the three sizes: semantic, then each acoustic book's."""
        if isinstance(values, dict) and "codebook_sizes" in values:
            values = dict(values)
            sizes = integers(values.pop("codebook_sizes"))
            if len(sizes) < 2 or len(set(sizes[1:])) != 1:
                raise ValueError(f"codebook_sizes: {sizes}; valid: the semantic size, then equal acoustic sizes")
            values |= {
                "semantic_codebook_size": sizes[0],
                "acoustic_codebook_size": sizes[1],
                "n_acoustic_codebook": len(sizes) - 1,
            }
        return values

    @cached_property
    def semantic_rows(self) -> int:
        """Of the semantic head: entries and specials, rounded up."""
        return _rounded(self.semantic_codebook_size + SPECIALS)

    @cached_property
    def embedding_rows(self) -> int:
        """Of the table of all codebooks."""
        acoustic = self.n_acoustic_codebook * (self.acoustic_codebook_size + SPECIALS)
        return _rounded(self.semantic_codebook_size + SPECIALS + acoustic)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Where each codebook begins in that table: the sizes before it are not rounded."""
        acoustic = self.acoustic_codebook_size + SPECIALS
        first = self.semantic_codebook_size + SPECIALS
        return (0, *(first + acoustic * book for book in range(self.n_acoustic_codebook)))

    @property
    def codebooks(self) -> int:
        """Codes of a frame."""
        return 1 + self.n_acoustic_codebook


class Multimodal(Strict):
    """All that is not text."""

    bos_token_id: int
    audio_model_args: AudioModel
    audio_tokenizer_args: Codec


class Config(Transformer):
    """The whole file; its own fields are the backbone's."""

    vocab_size: int = Field(gt=0)
    tied_embeddings: Literal[True]
    causal: Literal[True]
    max_seq_len: int = Field(gt=0)
    max_position_embeddings: int = Field(gt=0)
    model_parallel: Literal[1]
    model_type: Literal["voxtral_tts"]
    multimodal: Multimodal

    @property
    def audio(self) -> AudioModel:
        """Codes and flow head."""
        return self.multimodal.audio_model_args

    @property
    def flow(self) -> Flow:
        """The flow head."""
        return self.audio.acoustic_transformer_args

    @property
    def codec(self) -> Codec:
        """The codec."""
        return self.multimodal.audio_tokenizer_args

    @property
    def frame_seconds(self) -> float:
        """Length of a frame."""
        return self.codec.frame / self.codec.sampling_rate

    @model_validator(mode="after")
    def _fits_together(self) -> "Config":
        audio, codec, encoding = self.audio, self.codec, self.audio.audio_encoding_args
        # The semantic head has the flow head's width and reads the backbone's state.
        if not self.flow.dim == self.flow.input_dim == self.dim:
            raise ValueError(f"acoustic_transformer_args.dim, input_dim: must be the backbone's dim, {self.dim}")
        if self.dim % 2:
            raise ValueError(f"dim: {self.dim} is odd; the time embedding has two halves")
        pairs = (
            ("semantic_codebook_size", audio.semantic_codebook_size, codec.semantic_codebook_size),
            ("acoustic_codebook_size", audio.acoustic_codebook_size, codec.acoustic_codebook_size),
            ("n_acoustic_codebook / acoustic_dim", audio.n_acoustic_codebook, codec.acoustic_dim),
            ("num_codebooks", encoding.num_codebooks, audio.codebooks),
            ("sampling_rate", encoding.sampling_rate, codec.sampling_rate),
            ("frame_rate", encoding.frame_rate, codec.sampling_rate / codec.frame),
        )
        for name, one, other in pairs:
            if one != other:
                raise ValueError(f"{name}: {one} in one place, {other} by another")
        return self


def load_config(path: Path) -> Config:
    """Read `params.json`. Raises ConfigError."""
    try:
        return parse_config(json.loads(path.read_text("utf-8")), str(path))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from None


def shipped_config(name: str) -> Config:
    """One of `shipped_names()`. Raises ConfigError."""
    if name not in shipped_names():
        raise ConfigError(f"no configuration {name!r}; there are: {', '.join(shipped_names())}")
    file = resources.files(__package__).joinpath("configs", f"{name}.json")
    return parse_config(json.loads(file.read_text("utf-8")), name)


def shipped_names() -> list[str]:
    """Configurations that come with the package."""
    folder = resources.files(__package__).joinpath("configs")
    return sorted(file.name.removesuffix(".json") for file in folder.iterdir() if file.name.endswith(".json"))


def parse_config(values: object, source: str) -> Config:
    """Check a parsed file; `source` is for the error. Raises ConfigError that names every wrong field."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        lines = (f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"{source}: {'; '.join(lines)}") from None


def _rounded(rows: int) -> int:
    return math.ceil(rows / _ROUND) * _ROUND
