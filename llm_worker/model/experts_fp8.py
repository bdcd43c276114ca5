"""Experts that stay in 8 bits while they compute: half the memory to hold and to read, which is what a step of a large
model waits for. Weights have a scale for each row; on a GPU activations are brought to 8 bits too, a scale for each
token (`torch._scaled_grouped_mm`, compute capability 9.0). Elsewhere the weights are brought back to 16 or 32 bits for
each product, which is slow and for tests.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from llm_worker.model.config import Config
from llm_worker.model.experts import Experts
from llm_worker.model.layers import gated
from llm_worker.model.network import Decoder, compute_tables
from llm_worker.model.quantised import FP8

_LARGEST = torch.finfo(FP8).max


class Fp8Experts(nn.Module):
    """Takes the place of `Experts`; always in the grouped form, which has static shapes and waits for nothing."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        experts, hidden = config.moe.num_experts, config.moe.expert_hidden_dim
        self.gate_up: Tensor
        self.gate_up_scale: Tensor
        self.down: Tensor
        self.down_scale: Tensor
        for name, rows, columns in (("gate_up", 2 * hidden, config.dim), ("down", config.dim, hidden)):
            self.register_buffer(name, torch.empty((experts, rows, columns), dtype=FP8))
            self.register_buffer(f"{name}_scale", torch.empty((experts, rows), dtype=torch.float32))

    def take(self, experts: Experts) -> None:
        """The weights of the others, rounded."""
        for name in ("gate_up", "down"):
            weights = getattr(experts, name).detach().float()
            scale = weights.abs().amax(dim=2) / _LARGEST
            getattr(self, name).copy_((weights / scale.unsqueeze(2)).to(FP8))
            getattr(self, f"{name}_scale").copy_(scale)

    @torch.no_grad()
    def randomise(self) -> None:
        """Random weights, expert by expert: a whole layer in 32 bits would not fit beside a full card."""
        for weights, scale in ((self.gate_up, self.gate_up_scale), (self.down, self.down_scale)):
            for expert in weights:
                expert.copy_(torch.randn(expert.shape, device=expert.device).to(FP8))
            scale.fill_(weights.shape[2] ** -0.5)

    def forward(self, x: Tensor, weights: Tensor, chosen: Tensor, form: object = None) -> Tensor:
        """x [N, D], weights and chosen [N, k] → [N, D]. `form` is of no account."""
        count = chosen.shape[1]
        flat = chosen.flatten()
        order = flat.argsort(stable=True)
        experts = torch.arange(len(self.gate_up), device=x.device)
        ends = torch.searchsorted(flat[order], experts, right=True, out_int32=True)
        inner = gated(_product(x[order // count], self.gate_up, self.gate_up_scale, ends))
        made = _product(inner, self.down, self.down_scale, ends)
        parts = torch.empty_like(made).index_copy(0, order, made).view(-1, count, x.shape[1])
        return (parts * weights.to(x.dtype).unsqueeze(-1)).sum(dim=1)


def build_in_fp8(config: Config, device: torch.device | str) -> Decoder:
    """A model without values whose experts are in 8 bits and whose other weights are in bfloat16."""
    with torch.device("meta"):
        model = Decoder(config)
        for parameter in model.parameters():
            parameter.data = parameter.data.to(torch.bfloat16)
        for layer in model.layers:
            layer.feed_forward.register_module("experts", Fp8Experts(config))
    model = model.to_empty(device=device)
    compute_tables(model)
    return model.eval()


def _product(rows: Tensor, matrices: Tensor, scales: Tensor, ends: Tensor) -> Tensor:
    """Rows [M, K], those up to each of `ends` with one of matrices [E, N, K] with scales [E, N] → [M, N]."""
    if not rows.is_cuda:
        weights = (matrices.float() * scales.unsqueeze(2)).to(rows.dtype)
        return functional.grouped_mm(rows, weights.transpose(1, 2), offs=ends)
    scale = rows.float().abs().amax(dim=1).clamp(min=1e-12) / _LARGEST
    small = (rows.float() / scale.unsqueeze(1)).to(FP8)
    made: Tensor = torch._scaled_grouped_mm(
        small, matrices.transpose(1, 2), scale, scales, offs=ends, out_dtype=torch.bfloat16, use_fast_accum=True
    )
    return made.to(rows.dtype)
