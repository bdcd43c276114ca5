"""The causal decoder: prompt and frames in, the state from which the heads read the next frame out."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tts_worker.model.config import Transformer
from tts_worker.model.layers import Block, Modules, RMSNorm, attend
from tts_worker.model.rotary import Rotary, turn


@dataclass(frozen=True, slots=True)
class Cache:
    """Keys and values of all layers, positions and streams. Owned by who runs the model; row b is stream b."""

    both: Tensor
    """[layers, 2, B, kv heads, length, K] Keys, then values: what is new of both is written at once. On a GPU a length
    that is a multiple of 8 spares a copy of the mask in each layer."""

    @classmethod
    def empty(cls, config: Transformer, rows: int, length: int, dtype: torch.dtype, device: torch.device) -> "Cache":
        """For `rows` streams of up to `length` positions."""
        shape = (config.n_layers, 2, rows, config.n_kv_heads, length, config.head_dim)
        return cls(torch.zeros(shape, dtype=dtype, device=device))

    @property
    def length(self) -> int:
        """Positions of a stream."""
        return self.both.shape[4]

    def rows(self, first: int, end: int, length: int) -> "Cache":
        """A view of some streams, up to a length."""
        return Cache(self.both[:, :, first:end, :, :length])


@dataclass(frozen=True, slots=True)
class _Places:
    """What all layers need to know of the positions of a step."""

    turns: Tensor
    """See `Rotary.turns`."""
    index: Tensor
    """[2, B, kv, T, K] Where keys and values go."""
    bias: Tensor
    """[B, 1, H / kv · T, length] 0 where a key is seen, else −∞."""


class BackboneLayer(Block):
    """Pre-norm attention and feed-forward."""

    def forward(self, x: Tensor, places: _Places, cache: Tensor) -> Tensor:
        """x [B, T, D] → the same; keys and values of this layer [2, B, kv, length, K] are written and read."""
        attention = self.attention
        heads = attention.qkv(self.attention_norm(x)).unflatten(-1, (-1, attention.head_dim))  # [B, T, H + 2 kv, K]
        turn(heads[:, :, : attention.heads + attention.kv_heads], places.turns)
        q, new = heads[:, :, : attention.heads], heads[:, :, attention.heads :]
        cache.scatter_(3, places.index, new.unflatten(2, (2, -1)).permute(2, 0, 3, 1, 4))
        keys, values = cache.unbind()
        x = x + attention.merge(attend(q.transpose(1, 2), keys, values, places.bias))
        return x + self.feed_forward(self.ffn_norm(x))


class Backbone(nn.Module):
    """All layers and the last norm. Embeddings come from outside: text, voice and frames are vectors here."""

    def __init__(self, config: Transformer, length: int) -> None:
        """`length`: the most positions a stream can have."""
        super().__init__()
        self.layers: Modules[BackboneLayer] = Modules(BackboneLayer(config) for _ in range(config.n_layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.rotary = Rotary(config.head_dim, length, config.rope_theta)
        self._group = config.n_heads // config.n_kv_heads

    def forward(self, x: Tensor, positions: Tensor, cache: Cache) -> Tensor:
        """x [B, T, D], the inputs at `positions` [B, T], → states [B, T, D], normed.

        Each position sees itself and all before it, in this call or from earlier ones. What the cache holds beyond a
        stream's position has no weight, so a row may be used again as it is, unless there are numbers in it that are
        not finite: those have to be cleared.
        """
        places = self._places(positions, cache, x.dtype)
        for layer, both in zip(self.layers, cache.both, strict=True):
            x = layer(x, places, both)
        normed: Tensor = self.norm(x)
        return normed

    def _places(self, positions: Tensor, cache: Cache, dtype: torch.dtype) -> _Places:
        _, both, rows, kv_heads, length, head_dim = cache.both.shape
        shape = (both, rows, kv_heads, positions.shape[1], head_dim)
        after = torch.arange(length, device=positions.device) > positions.repeat(1, self._group)[:, :, None]
        bias = torch.zeros(after.shape, dtype=dtype, device=positions.device).masked_fill_(after, -math.inf)
        index = positions[None, :, None, :, None].expand(shape)
        return _Places(self.rotary.turns(positions), index, bias.unsqueeze(1))
