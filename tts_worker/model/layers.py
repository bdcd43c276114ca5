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
        return functional.rms_norm(x, self.weight.shape, self.weight, self._eps)


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
        self.qkv: nn.Module = nn.Linear(dim, (heads + 2 * kv_heads) * head_dim, bias=False)
        self.out = nn.Linear(heads * head_dim, dim, bias=False)

    def split(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, T, (H + 2 kv) K] → q [B, H, T, K], k and v [B, kv, T, K]."""
        heads = qkv.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        q, k, v = heads.split([self.heads, self.kv_heads, self.kv_heads], dim=1)
        return q, k, v

    def first_query(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x [B, T, D] → q [B, H, 1, K] of the first position, k and v [B, kv, T, K] of all."""
        if not isinstance(self.qkv, nn.Linear):  # packed weights cannot be taken apart
            q, k, v = self.split(self.qkv(x))
            return q[:, :, :1], k, v
        rows = self.heads * self.head_dim
        q = functional.linear(x[:, :1], self.qkv.weight[:rows])
        both = functional.linear(x, self.qkv.weight[rows:])
        k, v = both.unflatten(-1, (2, -1, self.head_dim)).transpose(1, 3).unbind(2)
        return q.unflatten(-1, (-1, self.head_dim)).transpose(1, 2), k, v

    def merge(self, attended: Tensor) -> Tensor:
        """[B, H, T, K] → [B, T, D]."""
        merged: Tensor = self.out(attended.transpose(1, 2).flatten(2))
        return merged


class Block(nn.Module):
    """The weights of a pre-norm layer: attention, then feed-forward."""

    def __init__(self, sizes: Transformer) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(sizes.dim, sizes.norm_eps)
        self.attention = Projections(sizes.dim, sizes.n_heads, sizes.n_kv_heads, sizes.head_dim)
        self.ffn_norm = RMSNorm(sizes.dim, sizes.norm_eps)
        self.feed_forward = FeedForward(sizes.dim, sizes.hidden_dim)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Scaled dot products: q [B, H, T, K] with k and v [B, kv, L, K] → [B, H, T, K].

    The H / kv query heads that share keys are rows of one problem: no key is repeated, and kernels that know nothing of
    shared heads where there is a bias can be used. `bias`: added to the scores; for these rows, heads before positions:
    what broadcasts to [B, kv, H / kv · T, L].
    """
    heads, length = q.shape[1:3]
    rows = q.reshape(len(q), k.shape[1], -1, q.shape[3])
    attended = functional.scaled_dot_product_attention(rows, k, v, attn_mask=bias)
    return attended.reshape(len(q), heads, length, q.shape[3])
