"""Numbers in 8 and 4 bits, and back. Formats: `storage`."""

import torch
from torch import Tensor

from llm_worker.model.storage import NVFP4_BLOCK

FP8 = torch.float8_e4m3fn
_E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""Values of the lower three bits; the fourth is the sign."""


def from_fp8(weights: Tensor, scale: Tensor) -> Tensor:
    """[rows, columns] with one scale, or [E, rows, columns] with scales [E, 1, 1], → float32."""
    return weights.float() * scale.float()


def to_fp8(weights: Tensor) -> tuple[Tensor, Tensor]:
    """[rows, columns] → the same in E4M3 and its scale [1], float32."""
    largest = weights.float().abs().max().clamp(min=1e-12)
    scale = largest / torch.finfo(FP8).max
    return (weights.float() / scale).to(FP8), scale.view(1)


def from_int8(weights: Tensor, scales: Tensor) -> Tensor:
    """[rows, columns] with a scale for each row [rows] → float32."""
    return weights.float() * scales.unsqueeze(1)


def to_int8(weights: Tensor) -> tuple[Tensor, Tensor]:
    """[rows, columns] → whole numbers from -127 to 127 and a scale for each row [rows], float32."""
    scales = weights.float().abs().amax(dim=1).clamp(min=1e-12) / 127
    return (weights.float() / scales.unsqueeze(1)).round().to(torch.int8), scales


def from_nvfp4(packed: Tensor, scales: Tensor, over: Tensor) -> Tensor:
    """Two numbers a byte [rows, columns / 2], the lower half of it the even column; scales [rows, columns / 16];
    `over` [1] divides them. → [rows, columns] float32."""
    codes = torch.stack((packed & 0xF, packed >> 4), dim=-1).flatten(1).int()
    values = torch.tensor([*_E2M1, *(-value for value in _E2M1)], device=packed.device)[codes]
    return values * (scales.float() / over).repeat_interleave(NVFP4_BLOCK, dim=1)
