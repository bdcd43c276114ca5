"""Sparse feed-forward: a router, experts of which each token takes a few, and one that every token goes through.

The chosen experts are computed in one of three ways that give the same result: a loop over experts is the reference
and waits for the device; gathering the chosen matrices copies them, and suits few tokens; grouped products suit many.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from llm_worker.model.config import Config
from llm_worker.model.layers import FeedForward, gated

ExpertForm = Literal["loop", "gathered", "grouped", "rounded"]
_GATHERED_TOKENS = 2
"""Up to so many, gathering is quicker: measured on a processor with `frontdesk` (docs/language-model.md)."""

_ROUND = 64
"""Rows of an expert are a multiple of so many where a library makes code for each size of a product, as it does for
bfloat16 on a processor."""


def form_for(tokens: int) -> ExpertForm:
    """The quickest form; never the loop."""
    return "gathered" if tokens <= _GATHERED_TOKENS else "grouped"


class Router(nn.Module):
    """Which experts a token goes through, and with what weight."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self._chosen, self._scale = config.moe.num_experts_per_tok, config.moe.routed_scale
        self.weight = nn.Parameter(torch.empty(config.moe.num_experts, config.dim))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [N, D] → weights [N, k] float32, which sum to the routed scale, and experts [N, k]."""
        best, chosen = functional.linear(x, self.weight).float().topk(self._chosen, dim=-1)
        # Shares among all experts, brought to the sum of 1 for the chosen, are their shares among themselves.
        return best.softmax(dim=-1) * self._scale, chosen


class Experts(nn.Module):
    """All routed experts of a layer. E experts, inner width H; gate before up."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        experts, hidden = config.moe.num_experts, config.moe.expert_hidden_dim
        self.gate_up = nn.Parameter(torch.empty(experts, 2 * hidden, config.dim))
        self.down = nn.Parameter(torch.empty(experts, config.dim, hidden))

    def forward(self, x: Tensor, weights: Tensor, chosen: Tensor, form: ExpertForm) -> Tensor:
        """x [N, D], weights and chosen [N, k] → [N, D]."""
        weights = weights.to(x.dtype)
        match form:
            case "loop":
                return self._loop(x, weights, chosen)
            case "gathered":
                parts = self._gathered(x, chosen)
            case "grouped":
                parts = self._grouped(x, chosen)
            case "rounded":
                parts = self._grouped(x, chosen, _ROUND)
        return torch.bmm(weights.unsqueeze(1), parts).squeeze(1)

    def _loop(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        """→ [N, D]."""
        out = torch.zeros_like(x)
        for expert in chosen.unique().tolist():
            rows, choice = (chosen == expert).nonzero(as_tuple=True)
            made = functional.linear(gated(functional.linear(x[rows], self.gate_up[expert])), self.down[expert])
            out.index_add_(0, rows, made * weights[rows, choice].unsqueeze(-1))
        return out

    def _gathered(self, x: Tensor, chosen: Tensor) -> Tensor:
        """→ [N, k, D]."""
        count, flat = chosen.shape[1], chosen.flatten()
        gate_up = self.gate_up.index_select(0, flat).transpose(1, 2)
        inner = gated(torch.bmm(x.repeat_interleave(count, dim=0).unsqueeze(1), gate_up))
        return torch.bmm(inner, self.down.index_select(0, flat).transpose(1, 2)).view(-1, count, x.shape[1])

    def _grouped(self, x: Tensor, chosen: Tensor, round_to: int = 1) -> Tensor:
        """→ [N, k, D]. Pairs of token and expert are sorted by expert; `ends` says where each expert's rows end, of
        which there are multiples of `round_to`."""
        count = chosen.shape[1]
        flat = chosen.flatten()
        order = flat.argsort(stable=True)
        experts = torch.arange(len(self.gate_up), device=x.device)
        ends = torch.searchsorted(flat[order], experts, right=True, out_int32=True)
        if round_to == 1:
            rows, places = order // count, None
        else:
            counts = ends.diff(prepend=ends.new_zeros(1))
            rounded = (counts + round_to - 1) // round_to * round_to
            moved = (rounded - counts).cumsum(0) - (rounded - counts)
            places = torch.arange(len(flat), device=x.device) + moved[flat[order]]
            ends = rounded.cumsum(0, dtype=torch.int32)
            rows = order.new_zeros(int(ends[-1])).index_copy(0, places, order // count)
        inner = gated(functional.grouped_mm(x[rows], self.gate_up.transpose(1, 2), offs=ends))
        made = functional.grouped_mm(inner, self.down.transpose(1, 2), offs=ends)
        made = made if places is None else made[places]
        return torch.empty_like(made).index_copy(0, order, made).view(-1, count, x.shape[1])


class SparseFeedForward(nn.Module):
    """Router, experts, and what every token goes through, which is added without a gate."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.router = Router(config)
        self.experts = Experts(config)
        self.shared = FeedForward(config.dim, config.shared_hidden_dim)

    def forward(self, x: Tensor, form: ExpertForm | None = None) -> Tensor:
        """[B, T, D] → the same. `form`: how experts are computed; None: by the number of tokens."""
        flat = x.flatten(0, -2)
        weights, chosen = self.router(flat)
        routed = self.experts(flat, weights, chosen, form or form_for(len(flat)))
        return (routed + self.shared(flat)).view(x.shape)
