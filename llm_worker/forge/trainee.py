"""What a step of training changes: weights, the copy that computes, optimisers, and the number of the step."""

import copy
import os
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

from llm_worker.model.network import Decoder
from training.optimisers import Optimisers, muon_and_adam
from training.team import ALONE, Team


class Trainee:
    """Weights and optimisers are float32; what computes may be a copy of another type."""

    def __init__(self, model: Decoder, optimisers: Optimisers, dtype: torch.dtype = torch.float32) -> None:
        self.model, self.optimisers, self.step = model, optimisers, 0
        self.computing = model if dtype == torch.float32 else _copy(model, dtype)

    def learn(self, rate: float, clip: float, team: Team = ALONE) -> float:
        """A step down the gradients that `computing` has, summed over the team, which are then gone. Returns their
        norm before it was clipped."""
        pairs = list(zip(self.model.parameters(), self.computing.parameters(), strict=True))
        if self.computing is not self.model or team.size > 1:
            gradient = torch.cat([own.grad.flatten().float() for _, own in pairs if own.grad is not None])
            team.add(gradient)
            for weight, own in pairs:
                if own.grad is None:
                    continue
                taken, gradient = gradient[: own.numel()], gradient[own.numel() :]
                own.grad = None
                weight.grad = taken.view_as(weight)
        norm = clip_grad_norm_(self.model.parameters(), clip)
        self.optimisers.step(rate)
        self._hand_over()
        return float(norm)

    def save(self, path: Path) -> None:
        """Whole, or not at all."""
        part = path.with_suffix(".part")
        state = {"model": self.model.state_dict(), "optimisers": self.optimisers.state(), "step": self.step}
        torch.save(state, part)
        os.replace(part, path)

    def restore(self, path: Path) -> None:
        """Go on from a saved state."""
        saved = torch.load(path, weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.optimisers.restore(saved["optimisers"])
        self.step = saved["step"]
        self._hand_over()

    def _hand_over(self) -> None:
        if self.computing is not self.model:
            with torch.no_grad():
                for weight, own in zip(self.model.parameters(), self.computing.parameters(), strict=True):
                    own.copy_(weight)


def _copy(model: Decoder, dtype: torch.dtype) -> Decoder:
    """The same in another type, but for tables, which stay float32."""
    twin = copy.deepcopy(model)
    for weight in twin.parameters():
        weight.data = weight.data.to(dtype)
    return twin


def optimisers(model: Decoder, decay: float) -> Optimisers:
    """Muon for the matrices of layers, AdamW for tables, routers, norms and matrices of low rank; the last two do not
    decay. What does not learn is in neither."""
    matrices: dict[nn.Parameter, int] = {}
    tables: list[nn.Parameter] = []
    small: list[nn.Parameter] = []
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            continue
        if weight.ndim == 1 or "parametrizations" in name:
            small.append(weight)
        elif not name.startswith("layers.") or name.endswith("router.weight"):
            tables.append(weight)
        else:
            matrices[weight] = 2 if name.endswith(("gate_up", "gate_up.weight")) else 1
    return muon_and_adam(matrices, tables, small, decay, (0.9, 0.95))
