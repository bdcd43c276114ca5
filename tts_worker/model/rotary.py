"""Rotary position embedding of neighbouring pairs: (2d, 2d + 1) turn by position · θ^(−2d/K).

The published weights are in this order. The half-split order needs permuted rows of wq and wk, and on native weights
it fails silently: the voice gets stuck.
"""

import torch
from torch import Tensor, nn


class Rotary(nn.Module):
    """Cosines and sines of all positions, made once: [length, K / 2] each, float32."""

    cos: Tensor
    sin: Tensor

    def __init__(self, head_dim: int, length: int, theta: float) -> None:
        super().__init__()
        self._sizes = head_dim, length, theta
        empty = torch.empty(length, head_dim // 2)
        self.register_buffer("cos", empty, persistent=False)
        self.register_buffer("sin", empty.clone(), persistent=False)
        self.reset()

    def reset(self) -> None:
        """Compute the tables where the buffers live; after a model that was built without memory gets some."""
        head_dim, length, theta = self._sizes
        exponents = torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim
        angles = torch.arange(length, dtype=torch.float64)[:, None] * theta**-exponents
        if not self.cos.is_meta:
            self.cos.copy_(angles.cos())
            self.sin.copy_(angles.sin())

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """Turn x [B, H, T, K] at positions [B, T]."""
        cos, sin = self.cos[positions].unsqueeze(1), self.sin[positions].unsqueeze(1)  # [B, 1, T, K / 2]
        even, odd = x.float().view(*x.shape[:-1], -1, 2).unbind(-1)
        turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)
        return turned.flatten(-2).to(x.dtype)
