"""What a step of training computes: the loss of a group of conversations, and how evenly experts are used."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from llm_worker.forge.corpus import IGNORED, Group
from llm_worker.model.config import Config
from llm_worker.model.experts import Router
from llm_worker.model.network import Decoder

_PIECE = 256
"""Tokens of a common beginning that attend together."""


def fresh(config: Config, seed: int) -> Decoder:
    """A model with random weights: normal with deviation 0.02, what adds to the residual smaller by its number."""
    model = Decoder(config)
    generator = torch.Generator().manual_seed(seed)
    into_residual = 0.02 / (2 * config.n_layers) ** 0.5
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                deviation = into_residual if name.endswith(("out.weight", "down.weight", "experts.down")) else 0.02
                weight.normal_(0, deviation, generator=generator)
    return model


def states(model: Decoder, group: Group) -> Tensor:
    """States [N, D] of a group's tokens, as if each conversation stood alone: rests follow the common beginning, which
    is computed once, and see nothing of each other."""
    shared = group.ends[0]
    # In pieces, because the attention computes what its mask hides.
    beginning = [(first, min(first + _PIECE, shared), first) for first in range(0, shared, _PIECE)]
    spans = [*beginning, *((first, last, shared) for first, last in pairwise(group.ends))]
    device = group.ids.device
    at = torch.cat([torch.arange(before, before + last - first, device=device) for first, last, before in spans])
    places = model.positions(at.unsqueeze(0))
    x = model.embedding(group.ids.unsqueeze(0))
    masks = [_mask(before, last - first, x) for first, last, before in spans]
    for layer in model.layers:
        still, turning, latents = layer.attention.project(layer.attention_norm(x), places)
        parts = []
        for (first, last, before), mask in zip(spans, masks, strict=True):
            context = torch.cat((latents[:, :before], latents[:, first:last]), dim=1)
            parts.append(layer.attention.expanded(still[:, first:last], turning[:, first:last], context, mask))
        x = x + torch.cat(parts, dim=1)
        x = x + layer.feed_forward(layer.ffn_norm(x), model.expert_form)
    out: Tensor = model.norm(x)
    return out[0]


def _mask(before: int, length: int, like: Tensor) -> Tensor:
    """[1, length, before + length]: everything before, and of its own what is not later."""
    own = like.new_full((length, length), -torch.inf).triu(1)
    return torch.cat((own.new_zeros(length, before), own), dim=1).unsqueeze(0)


def loss(model: Decoder, group: Group) -> Tensor:
    """Cross entropy summed over the tokens that are learnt."""
    wanted = group.targets != IGNORED
    return functional.cross_entropy(model.logits(states(model, group)[wanted]), group.targets[wanted], reduction="sum")


@dataclass
class Balance:
    """The load of experts while a group is computed (Switch Transformers, arXiv 2101.03961, equation 4): E times the
    sum over experts of their share of tokens times their mean probability; 1 when all are used alike."""

    _losses: list[Tensor] = field(default_factory=list)
    _hooks: list[Any] = field(default_factory=list)
    busiest: float = 0.0
    """Largest share that one expert of any layer had, times the number of experts; 1 is even."""

    def watch(self, model: nn.Module) -> "Balance":
        """Look at every router of the model from now on."""
        self._hooks = [each.register_forward_hook(self._seen) for each in model.modules() if isinstance(each, Router)]
        return self

    def close(self) -> None:
        """Stop looking."""
        for hook in self._hooks:
            hook.remove()

    def taken(self) -> Tensor:
        """The mean over layers since it was last asked for. Raises RuntimeError where nothing was computed."""
        if not self._losses:
            raise RuntimeError("no router has been at work")
        mean = torch.stack(self._losses).mean()
        self._losses.clear()
        return mean

    def _seen(self, router: Router, arguments: tuple[Tensor], result: tuple[Tensor, Tensor]) -> None:
        (x,), (_, chosen) = arguments, result
        shares = functional.linear(x, router.weight).float().softmax(dim=-1).mean(dim=0)
        used = torch.bincount(chosen.flatten(), minlength=len(shares)).float() / chosen.numel()
        self.busiest = max(self.busiest, float(used.max()) * len(used))
        self._losses.append(len(shares) * (shares * used).sum())
