"""`params.json` of the family, strictly: an unknown or missing field is an error that names it.

Field names are those of the published file. Every size of a model is read from here; the code fixes none.
"""

import json
import math
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

SPECIALS = 2
"""Each codebook has EMPTY (0) and END (1) before its own entries."""
_ROUND = 128
"""Tables have their rows rounded up to a multiple of this."""


class ConfigError(Exception):
    """The file is not a configuration of the family; the text names file, field and what is wrong."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Transformer(_Strict):
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


class Encoding(_Strict):
    """How codes become a stream."""

    codebook_pattern: Literal["parallel"]
    num_codebooks: int
    sampling_rate: int
    frame_rate: float
    interleave_audio_tokens_per_segment: int
    interleave_text_tokens_per_segment: int
    single_trailing_segment: bool


class AudioModel(_Strict):
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
            sizes = _integers(values.pop("codebook_sizes"))
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


class Codec(_Strict):
    """The neural codec. The encoder's fields are absent where its weights are."""

    channels: Literal[1]
    sampling_rate: int = Field(gt=0)
    pretransform_patch_size: int = Field(gt=0)
    patch_proj_kernel_size: int = Field(gt=0)
    semantic_codebook_size: int = Field(gt=0)
    semantic_dim: int = Field(gt=0)
    acoustic_codebook_size: int = Field(gt=1)
    acoustic_dim: int = Field(gt=0)
    dim: int = Field(gt=0)
    hidden_dim: int = Field(gt=0)
    head_dim: int = Field(gt=0)
    n_heads: int = Field(gt=0)
    n_kv_heads: int = Field(gt=0)
    causal: Literal[True]
    use_biases: Literal[False]
    conv_weight_norm: bool
    norm_eps: float = Field(gt=0)
    qk_norm: bool
    qk_norm_eps: float = Field(gt=0)
    layer_scale: bool
    layer_scale_init: float
    attn_sliding_window_size: int = Field(gt=0)
    half_attn_window_upon_downsampling: bool
    decoder_transformer_lengths_str: str
    decoder_convs_kernels_str: str
    decoder_convs_strides_str: str
    encoder_transformer_lengths_str: str = "2,2,2,2"
    encoder_convs_kernels_str: str = "4,4,4,3"
    encoder_convs_strides_str: str = "2,2,2,1"
    voice: dict[str, int] = Field(default_factory=dict)
    """Names of the reference voices."""

    @cached_property
    def decoder_stages(self) -> "tuple[Stage, ...]":
        """From codes to patches: each a convolution, then transformer layers."""
        window = self.attn_sliding_window_size
        if self.half_attn_window_upon_downsampling:
            window //= math.prod(_integers(self.decoder_convs_strides_str))
        stages = []
        for stage in _stages(self, "decoder"):
            window *= stage.stride if self.half_attn_window_upon_downsampling else 1
            stages.append(stage._replace_window(window))
        return tuple(stages)

    @cached_property
    def encoder_stages(self) -> "tuple[Stage, ...]":
        """From patches to codes: each transformer layers, then a convolution."""
        window = self.attn_sliding_window_size
        stages = []
        for stage in _stages(self, "encoder"):
            stages.append(stage._replace_window(window))
            window //= stage.stride if self.half_attn_window_upon_downsampling else 1
        return tuple(stages)

    @property
    def latent(self) -> int:
        """Channels between encoder and decoder."""
        return self.semantic_dim + self.acoustic_dim

    @cached_property
    def upsampling(self) -> int:
        """Patches of a frame."""
        return math.prod(stage.stride for stage in _stages(self, "decoder"))

    @property
    def frame(self) -> int:
        """Samples of a frame."""
        return self.pretransform_patch_size * self.upsampling

    @model_validator(mode="after")
    def _consistent(self) -> "Codec":
        down, up = _stages(self, "encoder"), _stages(self, "decoder")
        if any(stage.stride not in (1, 2) for stage in (*down, *up)):
            raise ValueError("decoder_convs_strides_str, encoder_convs_strides_str: strides are 1 or 2")
        if math.prod(s.stride for s in down) != math.prod(s.stride for s in up):
            raise ValueError("encoder_convs_strides_str: the encoder shrinks by another factor than the decoder grows")
        if self.n_heads * self.head_dim != self.dim or self.n_kv_heads != self.n_heads:
            raise ValueError("n_heads: the codec's heads fill its width, and none is shared")
        if self.half_attn_window_upon_downsampling and self.attn_sliding_window_size < 2 * self.upsampling:
            raise ValueError(
                f"attn_sliding_window_size: {self.attn_sliding_window_size}; at least {2 * self.upsampling}"
            )
        if self.patch_proj_kernel_size > self.upsampling:
            # Reflection at the start looks that far ahead: with more, the first frame could not be decoded alone.
            raise ValueError(f"patch_proj_kernel_size: at most the patches of a frame, {self.upsampling}")
        return self


class Stage(BaseModel):
    """A convolution and the transformer layers beside it."""

    model_config = ConfigDict(frozen=True)
    layers: int
    kernel: int
    stride: int
    window: int = 0
    """Positions that a layer looks back."""

    def _replace_window(self, window: int) -> "Stage":
        return self.model_copy(update={"window": window})


class Multimodal(_Strict):
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


def _stages(codec: Codec, side: str) -> tuple[Stage, ...]:
    columns = [
        _integers(getattr(codec, f"{side}_{name}_str"))
        for name in ("transformer_lengths", "convs_kernels", "convs_strides")
    ]
    if len({len(column) for column in columns}) != 1:
        raise ValueError(f"{side}_*_str: lengths, kernels and strides are not equally many")
    return tuple(Stage(layers=n, kernel=k, stride=s) for n, k, s in zip(*columns, strict=True))


def _integers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except (ValueError, AttributeError):
        raise ValueError(f"{text!r} is no list of numbers with commas between") from None


def _rounded(rows: int) -> int:
    return math.ceil(rows / _ROUND) * _ROUND
