"""What every part of the decoder is built of."""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

M = TypeVar("M", bound=nn.Module)


class Modules(nn.ModuleList, Generic[M]):
    """A list of modules of one kind, which type checkers know of."""

    def __iter__(self) -> Iterator[M]:
        items: Any = super().__iter__()
        yield from items


class RMSNorm(nn.Module):
    """x / sqrt(mean(x²) + eps) · weight; the mean in float32 whatever the model's type."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self._eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] → the same."""
        if x.dtype == torch.float32:
            return functional.rms_norm(x, self.weight.shape, self.weight, self._eps)
        # The weight comes after rounding back, as where the published weights were trained.
        return functional.rms_norm(x.float(), self.weight.shape, eps=self._eps).to(x.dtype) * self.weight


class FeedForward(nn.Module):
    """SwiGLU: down(silu(gate(x)) · up(x)), gate and up in one matrix, in that order."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(dim, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] → the same."""
        return self.down(gated(self.gate_up(x)))


def gated(gate_up: Tensor) -> Tensor:
    """[..., 2 H], gate first, → [..., H]."""
    gate, up = gate_up.chunk(2, dim=-1)
    return functional.silu(gate) * up
