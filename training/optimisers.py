"""Optimisers that share a rate and are one to whoever trains."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from training.muon import Muon


class Optimisers:
    """Several, each with parameters of its own."""

    def __init__(self, *each: torch.optim.Optimizer) -> None:
        self._each = each

    def step(self, rate: float) -> None:
        """One step at this rate; gradients are gone afterwards."""
        for optimiser in self._each:
            for options in optimiser.param_groups:
                options["lr"] = rate
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

    def state(self) -> list[dict[str, Any]]:
        """What `restore` needs."""
        return [optimiser.state_dict() for optimiser in self._each]

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Go on from there. Raises ValueError where it is of other parameters."""
        for optimiser, own in zip(self._each, state, strict=True):
            optimiser.load_state_dict(own)


def muon_and_adam(
    matrices: Mapping[nn.Parameter, int],
    tables: list[nn.Parameter],
    others: list[nn.Parameter],
    decay: float,
    betas: tuple[float, float],
) -> Optimisers:
    """Muon for matrices, each with the number of those that are stacked in it; AdamW for tables, which decay too, and
    for others, which do not."""
    by_number: dict[int, list[nn.Parameter]] = {}
    for weight, stacked in matrices.items():
        by_number.setdefault(stacked, []).append(weight)
    muon = [{"params": weights, "stacked": stacked} for stacked, weights in sorted(by_number.items())]
    adam = [{"params": tables, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    made: list[torch.optim.Optimizer] = [Muon(muon, 0.0, weight_decay=decay)] if muon else []
    return Optimisers(*made, torch.optim.AdamW(adam, lr=0.0, betas=betas, eps=1e-8))
