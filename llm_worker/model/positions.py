"""What a position does: rotary angles with YaRN's frequencies (arXiv 2309.00071), and the temperature of queries.

Neighbouring lanes (2j, 2j + 1) are a pair. The half-split order would need permuted rows of the weights; on native
ones it fails silently.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from llm_worker.model.config import Config, Yarn


@dataclass(frozen=True, slots=True)
class Places:
    """Of tokens [B, T]."""

    rotation: Tensor
    """[B, T, 1, rope / 2] complex64: of each pair, one number of size 1. No magnitude is in it."""
    temperature: Tensor
    """[B, T, 1] float32: what queries are multiplied by."""

    def turned(self, x: Tensor) -> Tensor:
        """Rotate x [B, T, H, rope]; the same type and order of lanes."""
        pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
        return torch.view_as_real(pairs * self.rotation).flatten(-2).to(x.dtype)


class Positions(nn.Module):
    """Positions → angles and temperatures. Frequencies are computed, not loaded."""

    frequencies: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self._config = config
        self.register_buffer("frequencies", torch.empty(config.qk_rope_head_dim // 2), persistent=False)
        self.reset()

    def reset(self) -> None:
        """Compute the table where the buffer lives; after a model that was built without memory gets some."""
        if not self.frequencies.is_meta:
            config = self._config
            self.frequencies.copy_(frequencies(config.qk_rope_head_dim, config.rope_theta, config.yarn))

    def forward(self, positions: Tensor) -> Places:
        """[B, T] int64, of the tokens themselves and not of their slots."""
        places = positions.float().unsqueeze(-1)
        angles = places * self.frequencies
        scaling = self._config.llama_4_scaling
        turns = torch.floor(places / scaling.original_max_position_embeddings)
        rotation = torch.polar(torch.ones_like(angles), angles).unsqueeze(2)
        return Places(rotation, 1 + scaling.beta * torch.log1p(turns))


def frequencies(dim: int, theta: float, yarn: Yarn) -> Tensor:
    """Of the pairs of `dim` lanes [dim / 2], float32: those with many rotations in the original length stay, those
    with few are divided by the factor, between them a ramp."""
    exponents = torch.arange(0, dim, 2, dtype=torch.float32) / dim
    base = 1.0 / theta**exponents
    first, last = (_pair_with(rotations, dim, theta, yarn) for rotations in (yarn.beta, yarn.alpha))
    low, high = max(math.floor(first), 0), min(math.ceil(last), dim - 1)
    ramp = ((torch.arange(dim // 2) - low) / max(high - low, 1e-3)).clamp(0, 1)
    return base * (1 - ramp) + base / yarn.factor * ramp


def _pair_with(rotations: float, dim: int, theta: float, yarn: Yarn) -> float:
    """The pair that makes so many rotations in the original length; between two pairs, mostly."""
    length = yarn.original_max_position_embeddings
    return dim * math.log(length / (rotations * 2 * math.pi)) / (2 * math.log(theta))
