"""Muon (Jordan and others, 2024; scaled as in arXiv 2502.16982): a step is the momentum of a matrix, made orthogonal.

All directions of a matrix are learnt alike, those seldom seen too, so fewer examples are needed than with AdamW.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

_STEPS = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)
"""Coefficients of odd polynomials, one after the other, that bring singular values near 1 (J. You, 2025)."""
_SIZE = 0.2
"""Root mean square of an update: AdamW's, so that one rate serves both."""


class Muon(torch.optim.Optimizer):
    """Parameters of two dimensions or more: the last two are a matrix, or `stacked` of them one below the other."""

    def __init__(self, groups: Iterable[dict[str, Any]], lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        """Groups of `params`, with `stacked` where it is not 1."""
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "stacked": 1})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Nesterov momentum, orthogonal, scaled."""
        for options in self.param_groups:
            momentum, rate = options["momentum"], options["lr"]
            for weight in options["params"]:
                if weight.grad is None:
                    continue
                if not self.state[weight]:
                    self.state[weight]["mean"] = torch.zeros_like(weight)
                mean = self.state[weight]["mean"].lerp_(weight.grad, 1 - momentum)
                matrices = weight.grad.lerp(mean, momentum).unflatten(-2, (options["stacked"], -1))
                update = orthogonal(matrices).view_as(weight)
                weight.mul_(1 - rate * options["weight_decay"])
                weight.add_(update, alpha=-rate * _SIZE * max(matrices.shape[-2:]) ** 0.5)


def orthogonal(x: Tensor) -> Tensor:
    """[..., M, N] → about its nearest matrix with orthonormal rows or columns: all singular values near 1."""
    wide = x.to(torch.bfloat16)
    if turned := x.shape[-2] > x.shape[-1]:
        wide = wide.mT
    wide = (wide / (wide.norm(dim=(-2, -1), keepdim=True) * 1.01 + 1e-7)).contiguous()
    for a, b, c in _STEPS:
        square = wide @ wide.mT
        wide = a * wide + (b * square + c * square @ square) @ wide
    out: Tensor = (wide.mT if turned else wide).to(x.dtype).contiguous()
    return out
