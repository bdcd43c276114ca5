"""`params.json` of the family, strictly: an unknown or missing field is an error that names it. PURE.

Field names are those of the published file. Every size of a model is read from here; the code fixes none. What the
code does only one way (no biases, no dense layers, one group of experts) is a field with one valid value.
"""

import json
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator


class ConfigError(Exception):
    """The file is not a configuration of the family; the text names file, field and what is wrong."""


class Strict(BaseModel):
    """A part of the file: every field is known, and of its very type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Yarn(Strict):
    """How rotary frequencies are stretched (arXiv 2309.00071)."""

    factor: float = Field(ge=1)
    original_max_position_embeddings: int = Field(gt=0)
    """Positions that frequencies were made for."""
    beta: float = Field(gt=0)
    """Pairs with more rotations than this in the original length stay as they are."""
    alpha: float = Field(gt=0)
    """Pairs with fewer rotations than this are divided by the factor."""
    apply_scale: Literal[False]
    """No magnitude: neither in cosines and sines nor in the scale of the softmax."""

    @model_validator(mode="after")
    def _ordered(self) -> "Yarn":
        if self.alpha >= self.beta:
            raise ValueError(f"alpha: {self.alpha} must be less than beta, {self.beta}")
        return self


class Temperature(Strict):
    """Queries grow with the logarithm of how often their position holds the original length."""

    original_max_position_embeddings: int = Field(gt=0)
    beta: float = Field(ge=0)


class Experts(Strict):
    """The sparse part of every layer."""

    num_experts: int = Field(gt=0)
    num_experts_per_tok: int = Field(gt=0)
    expert_hidden_dim: int = Field(gt=0)
    num_shared_experts: int = Field(gt=0)
    """They are one feed-forward that is so many times as wide, and every token goes through it."""
    routed_scale: float = Field(gt=0)
    first_k_dense_replace: Literal[0]
    num_expert_groups: Literal[1]
    num_expert_groups_per_tok: Literal[1]
    route_every_n: Literal[1] = 1
    renorm_strategy: Literal["WEIGHTS"] = "WEIGHTS"
    use_load_balancing_bias: Literal[False] = False
    expert_parallel: int = 1
    expert_model_parallel: int = 1
    """The last two say how the publisher ran it; here they mean nothing."""

    @model_validator(mode="after")
    def _enough(self) -> "Experts":
        if self.num_experts_per_tok > self.num_experts:
            raise ValueError(f"num_experts_per_tok: {self.num_experts_per_tok} of {self.num_experts} experts")
        return self


class Quantisation(Strict):
    """How the published weights are stored. The checkpoint itself says it again, tensor by tensor, and is believed."""

    qformat_weight: Literal["fp8_e4m3", "int8_row"]
    """`int8_row` is ours: whole numbers with one scale for each row."""
    qscheme_act: Literal["TENSOR", "NO_SCALES"] = "NO_SCALES"


class Config(Strict):
    """The whole file."""

    dim: int = Field(gt=0)
    n_layers: int = Field(gt=0)
    n_heads: int = Field(gt=0)
    n_kv_heads: int = Field(gt=0)
    head_dim: int = Field(gt=0)
    hidden_dim: int = Field(gt=0)
    """Of dense layers, which only the speculative head has."""
    q_lora_rank: int = Field(gt=0)
    kv_lora_rank: int = Field(gt=0)
    qk_nope_head_dim: int = Field(gt=0)
    qk_rope_head_dim: int = Field(gt=0)
    v_head_dim: int = Field(gt=0)
    rope_theta: float = Field(gt=1)
    norm_eps: float = Field(gt=0)
    vocab_size: int = Field(gt=0)
    tied_embeddings: bool
    max_position_embeddings: int = Field(gt=0)
    moe: Experts
    yarn: Yarn
    llama_4_scaling: Temperature
    activation: Literal["silu"] = "silu"
    sliding_window: None = None
    max_seq_len: int | None = None
    model_parallel: int = 1
    quantization: Quantisation | None = None
    quantization_config: dict[str, Any] | None = None
    """Of the 4-bit files. Not read: see `Quantisation`."""
    vision_encoder: dict[str, Any] | None = None
    """Not read: the decoder of text has no use for it."""

    @property
    def query_dim(self) -> int:
        """Lanes of a query or a key: those without position, then those with."""
        return self.qk_nope_head_dim + self.qk_rope_head_dim

    @cached_property
    def softmax_scale(self) -> float:
        """Of scores. Nothing of YaRN is in it, whatever the `mscale_all_dim` of the other format says."""
        return self.query_dim**-0.5

    @property
    def latent_dim(self) -> int:
        """Numbers that the cache holds for a token and layer: the normed latent, then the key with its rotation."""
        return self.kv_lora_rank + self.qk_rope_head_dim

    @property
    def shared_hidden_dim(self) -> int:
        """Inner width of what every token goes through."""
        return self.moe.num_shared_experts * self.moe.expert_hidden_dim

    @model_validator(mode="after")
    def _fits_together(self) -> "Config":
        if self.qk_rope_head_dim % 2:
            raise ValueError(f"qk_rope_head_dim: {self.qk_rope_head_dim} is odd; rotary embedding turns pairs")
        if self.n_kv_heads != self.n_heads:
            raise ValueError(f"n_kv_heads: {self.n_kv_heads}; keys and values have as many heads as queries")
        if self.head_dim != self.query_dim:
            raise ValueError(
                f"head_dim: {self.head_dim}; qk_nope_head_dim and qk_rope_head_dim make it {self.query_dim}"
            )
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
