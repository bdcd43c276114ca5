"""The codec's part of `params.json`. PURE."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Strict(BaseModel):
    """A part of the file: every field is known, and of its very type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


@dataclass(frozen=True, slots=True)
class Stage:
    """A convolution and the transformer layers beside it."""

    layers: int
    kernel: int
    stride: int
    window: int = 0
    """Positions that a layer looks back."""


class Codec(Strict):
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
    def decoder_stages(self) -> tuple[Stage, ...]:
        """From codes to patches: each a convolution, then transformer layers."""
        window = self.attn_sliding_window_size
        if self.half_attn_window_upon_downsampling:
            window //= math.prod(integers(self.decoder_convs_strides_str))
        stages = []
        for stage in _stages(self, "decoder"):
            window *= stage.stride if self.half_attn_window_upon_downsampling else 1
            stages.append(replace(stage, window=window))
        return tuple(stages)

    @cached_property
    def encoder_stages(self) -> tuple[Stage, ...]:
        """From patches to codes: each transformer layers, then a convolution."""
        window = self.attn_sliding_window_size
        stages = []
        for stage in _stages(self, "encoder"):
            stages.append(replace(stage, window=window))
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


def _stages(codec: Codec, side: str) -> tuple[Stage, ...]:
    columns = [
        integers(getattr(codec, f"{side}_{name}_str"))
        for name in ("transformer_lengths", "convs_kernels", "convs_strides")
    ]
    if len({len(column) for column in columns}) != 1:
        raise ValueError(f"{side}_*_str: lengths, kernels and strides are not equally many")
    return tuple(Stage(layers=n, kernel=k, stride=s) for n, k, s in zip(*columns, strict=True))


def integers(text: str) -> list[int]:
    """Of "2,2,1": [2, 2, 1]. Raises ValueError."""
    try:
        return [int(part) for part in text.split(",")]
    except (ValueError, AttributeError):
        raise ValueError(f"{text!r} is no list of numbers with commas between") from None
