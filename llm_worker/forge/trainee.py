"""What a step of training changes: weights, the copy that computes, optimisers, and the number of the step."""

import copy
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn.utils import clip_grad_norm_

from llm_worker.model.network import Decoder
from training.muon import Muon
from training.team import ALONE, Team


class Trainee:
    """Weights and optimisers are float32; what computes may be a copy of another type."""

    def __init__(
        self, model: Decoder, optimisers: Sequence[torch.optim.Optimizer], dtype: torch.dtype = torch.float32
    ) -> None:
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
        for optimiser in self.optimisers:
            for options in optimiser.param_groups:
                options["lr"] = rate
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self._hand_over()
        return float(norm)

    def save(self, path: Path) -> None:
        """Whole, or not at all."""
        part = path.with_suffix(".part")
        optimisers = [optimiser.state_dict() for optimiser in self.optimisers]
        torch.save({"model": self.model.state_dict(), "optimisers": optimisers, "step": self.step}, part)
        os.replace(part, path)

    def restore(self, path: Path) -> None:
        """Go on from a saved state."""
        saved = torch.load(path, weights_only=True)
        self.model.load_state_dict(saved["model"])
        for optimiser, state in zip(self.optimisers, saved["optimisers"], strict=True):
            optimiser.load_state_dict(state)
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


def optimisers(model: Decoder, rate: float, decay: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of layers, AdamW for tables, routers, norms and matrices of low rank; the last two do not
    decay. What does not learn is in neither."""
    named = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    table = {name for name, weight in named.items() if not name.startswith("layers.") or name.endswith("router.weight")}
    small = {name for name, weight in named.items() if weight.ndim == 1 or "parametrizations" in name}
    stacked = {name for name in named if name.endswith(("gate_up", "gate_up.weight"))}
    matrices = named.keys() - table - small - stacked
    muon = [
        {"params": [named[name] for name in named if name in matrices], "stacked": 1},
        {"params": [named[name] for name in named if name in stacked], "stacked": 2},
    ]
    adam = [
        {"params": [named[name] for name in named if name in table - small], "weight_decay": decay},
        {"params": [named[name] for name in named if name in small], "weight_decay": 0.0},
    ]
    return [Muon(muon, rate, weight_decay=decay), torch.optim.AdamW(adam, lr=rate, betas=(0.9, 0.95), eps=1e-8)]
