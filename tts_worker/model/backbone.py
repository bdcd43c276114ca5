"""The causal decoder: prompt and frames in, the state from which the heads read the next frame out."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tts_worker.model.config import Transformer
from tts_worker.model.layers import Block, Modules, RMSNorm, attend
from tts_worker.model.rotary import Rotary


@dataclass(frozen=True, slots=True)
class Cache:
    """Keys and values of all layers, positions and streams. Owned by who runs the model; row b is stream b."""

    keys: Tensor
    """[layers, B, kv heads, length, K]"""
    values: Tensor

    @classmethod
    def empty(cls, config: Transformer, rows: int, length: int, dtype: torch.dtype, device: torch.device) -> "Cache":
        """For `rows` streams of up to `length` positions."""
        shape = (config.n_layers, rows, config.n_kv_heads, length, config.head_dim)
        return cls(torch.zeros(shape, dtype=dtype, device=device), torch.zeros(shape, dtype=dtype, device=device))

    @property
    def length(self) -> int:
        """Positions of a stream."""
        return self.keys.shape[3]

    def rows(self, first: int, end: int, length: int) -> "Cache":
        """A view of some streams, up to a length."""
        return Cache(self.keys[:, first:end, :, :length], self.values[:, first:end, :, :length])


class BackboneLayer(Block):
    """Pre-norm attention and feed-forward."""

    def forward(
        self, x: Tensor, positions: Tensor, rotary: Rotary, keys: Tensor, values: Tensor, seen: Tensor
    ) -> Tensor:
        """x [B, T, D] at positions [B, T]; keys and values [B, kv, length, K] are written there, and read where `seen`
        [B, 1, T, length] says."""
        q, k, v = self.attention.split(self.attention.qkv(self.attention_norm(x)))
        q, k = rotary(q, positions), rotary(k, positions)
        index = positions[:, None, :, None].expand_as(k)
        keys.scatter_(2, index, k)
        values.scatter_(2, index, v)
        x = x + self.attention.merge(attend(q, keys, values, seen))
        return x + self.feed_forward(self.ffn_norm(x))


class Backbone(nn.Module):
    """All layers and the last norm. Embeddings come from outside: text, voice and frames are vectors here."""

    def __init__(self, config: Transformer, length: int) -> None:
        """`length`: the most positions a stream can have."""
        super().__init__()
        self.layers: Modules[BackboneLayer] = Modules(BackboneLayer(config) for _ in range(config.n_layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.rotary = Rotary(config.head_dim, length, config.rope_theta)

    def forward(self, x: Tensor, positions: Tensor, cache: Cache) -> Tensor:
        """x [B, T, D], the inputs at `positions` [B, T], → states [B, T, D], normed.

        Each position sees itself and all before it, in this call or from earlier ones. What the cache holds beyond a
        stream's position has no weight, so a row may be used again as it is, unless there are numbers in it that are
        not finite: those have to be cleared.
        """
        places = torch.arange(cache.length, device=x.device)
        seen = (places <= positions[:, :, None]).unsqueeze(1)
        for layer, keys, values in zip(self.layers, cache.keys, cache.values, strict=True):
            x = layer(x, positions, self.rotary, keys, values, seen)
        normed: Tensor = self.norm(x)
        return normed
