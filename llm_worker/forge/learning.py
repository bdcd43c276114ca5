"""What a step of training computes: the loss of a group of conversations, and how evenly experts are used."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from llm_worker.forge.attending import attended, spans
from llm_worker.forge.corpus import IGNORED, Group
from llm_worker.model.config import Config
from llm_worker.model.experts import Router
from llm_worker.model.network import Decoder


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
    parts = spans(group.ends)
    numbers = torch.arange(len(group.ids), device=group.ids.device)
    for first, last in pairwise(group.ends):
        numbers[first:last] -= first - shared
    places = model.positions(numbers.unsqueeze(0))
    x = model.embedding(group.ids.unsqueeze(0))
    for layer in model.layers:
        queries, keys, values = layer.attention.by_head(layer.attention_norm(x), places)
        heads = attended(queries, keys, values, parts)
        x = x + layer.attention.out(heads.transpose(0, 1).flatten(1).unsqueeze(0))
        x = x + layer.feed_forward(layer.ffn_norm(x), model.expert_form)
    out: Tensor = model.norm(x)
    return out[0]


def loss(model: Decoder, group: Group) -> Tensor:
    """Cross entropy summed over the tokens that the front desk says."""
    return _each(model, states(model, group), group.targets).sum()


def losses(model: Decoder, group: Group) -> tuple[Tensor, Tensor, Tensor]:
    """Cross entropy summed over the tokens that the front desk says, over those of them that are tool calls, and over
    those that others say."""
    computed = states(model, group)
    own = _each(model, computed, group.targets)
    calls = group.calls[group.targets != IGNORED]
    return own.sum(), own[calls].sum(), _each(model, computed, group.others).sum()


def _each(model: Decoder, computed: Tensor, targets: Tensor) -> Tensor:
    wanted = targets != IGNORED
    return functional.cross_entropy(model.logits(computed[wanted]), targets[wanted], reduction="none")


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

    def forget(self) -> None:
        """What was computed does not count."""
        self._losses.clear()

    def _seen(self, router: Router, arguments: tuple[Tensor], result: tuple[Tensor, Tensor]) -> None:
        (x,), (_, chosen) = arguments, result
        shares = functional.linear(x, router.weight).float().softmax(dim=-1).mean(dim=0)
        used = torch.bincount(chosen.flatten(), minlength=len(shares)).float() / chosen.numel()
        self.busiest = max(self.busiest, float(used.max()) * len(used))
        self._losses.append(len(shares) * (shares * used).sum())
