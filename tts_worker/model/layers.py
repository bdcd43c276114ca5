"""What backbone, flow head and codec are built of. B streams, T positions, D width, H heads of width K."""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from tts_worker.model.config import Transformer

M = TypeVar("M", bound=nn.Module)


class Modules(nn.ModuleList, Generic[M]):
    """A list of modules of one kind, which type checkers know of."""

    def __iter__(self) -> Iterator[M]:
        items: Any = super().__iter__()
        yield from items

    def first(self) -> M:
        """There is at least one."""
        return next(iter(self))


class RMSNorm(nn.Module):
    """x / sqrt(mean(x²) + eps) · weight; the mean in float32 whatever the model's type."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self._eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] → the same."""
        wide = x.float()
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + self._eps)
        return (wide * scale).to(x.dtype) * self.weight


class FeedForward(nn.Module):
    """SwiGLU: down(silu(gate(x)) · up(x)), gate and up in one matrix."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(dim, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] → the same."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        down: Tensor = self.down(functional.silu(gate) * up)
        return down


class Projections(nn.Module):
    """Queries, keys and values from one matrix (rows in that order), and the way out."""

    def __init__(self, dim: int, heads: int, kv_heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, head_dim
        self.qkv = nn.Linear(dim, (heads + 2 * kv_heads) * head_dim, bias=False)
        self.out = nn.Linear(heads * head_dim, dim, bias=False)

    def split(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, T, (H + 2 kv) K] → q [B, H, T, K], k and v [B, kv, T, K]."""
        batch, length, _ = qkv.shape
        sizes = [self.heads * self.head_dim, self.kv_heads * self.head_dim, self.kv_heads * self.head_dim]
        q, k, v = (part.view(batch, length, -1, self.head_dim).transpose(1, 2) for part in qkv.split(sizes, dim=-1))
        return q, k, v

    def queries(self, x: Tensor) -> Tensor:
        """Only the queries of x [B, T, D]: [B, H, T, K]."""
        rows = self.qkv.weight[: self.heads * self.head_dim]
        return functional.linear(x, rows).view(*x.shape[:2], self.heads, self.head_dim).transpose(1, 2)

    def merge(self, attended: Tensor) -> Tensor:
        """[B, H, T, K] → [B, T, D]."""
        batch, _, length, _ = attended.shape
        merged: Tensor = self.out(attended.transpose(1, 2).reshape(batch, length, -1))
        return merged


class Block(nn.Module):
    """The weights of a pre-norm layer: attention, then feed-forward."""

    def __init__(self, sizes: Transformer) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(sizes.dim, sizes.norm_eps)
        self.attention = Projections(sizes.dim, sizes.n_heads, sizes.n_kv_heads, sizes.head_dim)
        self.ffn_norm = RMSNorm(sizes.dim, sizes.norm_eps)
        self.feed_forward = FeedForward(sizes.dim, sizes.hidden_dim)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot products, key and value heads shared by groups of query heads. `mask`: True where a key is seen, or
    numbers that are added to the scores."""
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=q.shape[1] != k.shape[1])
