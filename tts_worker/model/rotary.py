"""Rotary position embedding of neighbouring pairs: (2d, 2d + 1) turn by position · θ^(−2d/K).

The published weights are in this order. The half-split order needs permuted rows of wq and wk, and on native weights
it fails silently: the voice gets stuck.
"""

import torch
from torch import Tensor, nn


class Rotary(nn.Module):
    """The turns of all positions, made once, as complex numbers: cosines and sines [length, K / 2, 2], float32."""

    table: Tensor

    def __init__(self, head_dim: int, length: int, theta: float) -> None:
        super().__init__()
        self._sizes = head_dim, length, theta
        self.register_buffer("table", torch.empty(length, head_dim // 2, 2), persistent=False)
        self.reset()

    def reset(self) -> None:
        """Compute the tables where the buffers live; after a model that was built without memory gets some."""
        head_dim, length, theta = self._sizes
        exponents = torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim
        angles = torch.arange(length, dtype=torch.float64)[:, None] * theta**-exponents
        if not self.table.is_meta:
            self.table.copy_(torch.stack((angles.cos(), angles.sin()), dim=-1))

    def turns(self, positions: Tensor) -> Tensor:
        """Positions [B, T] → [B, T, 1, K / 2], complex: for all heads and layers of a step."""
        return torch.view_as_complex(self.table[positions]).unsqueeze(2)


def turn(x: Tensor, turns: Tensor) -> None:
    """Turn x [B, T, H, K] in place. A product of complex numbers in float32, whatever the type of x."""
    wide = x.float()  # x itself, where it is float32
    torch.view_as_complex(wide.unflatten(-1, (-1, 2))).mul_(turns)
    if wide is not x:
        x.copy_(wide)
