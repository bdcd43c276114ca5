"""LoRA (arXiv 2106.09685): a trained model learns in matrices of low rank beside its own, which stay as they are.

Only what is next to attention and to the shared expert: routed experts are seldom met in a small set of calls.
"""

from operator import attrgetter

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from llm_worker.model.network import Decoder


class LowRank(nn.Module):
    """weight + up · down × (2 / rank); `up` is zero at first, so that nothing changes."""

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        rows, columns = weight.shape
        self.down = nn.Parameter(torch.randn(rank, columns, generator=generator) * columns**-0.5)
        self.up = nn.Parameter(torch.zeros(rows, rank))
        self._scale = 2 / rank

    def forward(self, weight: Tensor) -> Tensor:
        """What is computed with in place of the weight."""
        return weight + self.up @ self.down * self._scale


def add_low_rank(model: Decoder, rank: int, seed: int) -> None:
    """From now on only the low-rank matrices learn. Raises ValueError where the rank is no less than a matrix's."""
    generator = torch.Generator().manual_seed(seed)
    for weight in model.parameters():
        weight.requires_grad_(False)
    for layer in model.layers:
        own = (*layer.attention.modules(), *layer.feed_forward.shared.modules())
        for linear in (each for each in own if isinstance(each, nn.Linear)):
            if rank >= min(linear.weight.shape):
                raise ValueError(f"rank {rank}: the smallest matrix is {tuple(linear.weight.shape)}")
            parametrize.register_parametrization(linear, "weight", LowRank(linear.weight, rank, generator))


def merged(model: Decoder) -> Decoder:
    """The same without matrices beside others: what they have learnt is in the model's own."""
    plain = Decoder(model.config)
    with torch.no_grad():
        for name, weight in plain.named_parameters():
            weight.copy_(attrgetter(name)(model))
    return plain
