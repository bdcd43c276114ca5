"""The codec's transformer layers: causal, a short window, distance counted against a key (ALiBi)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tts_worker.model.codec_config import Codec
from tts_worker.model.layers import FeedForward, Projections, RMSNorm, attend


@dataclass(frozen=True, slots=True)
class Window:
    """What a layer keeps of a stream: keys and values of the last positions, [B, H, window, K] each."""

    keys: Tensor
    values: Tensor


class CodecLayer(nn.Module):
    """Pre-norm attention over the last `window` positions and itself, then feed-forward; each branch scaled."""

    slopes: Tensor

    def __init__(self, config: Codec, window: int) -> None:
        super().__init__()
        dim = config.dim
        self.window = window
        self._heads, self._head_dim = config.n_heads, config.head_dim
        self.attention_norm = RMSNorm(dim, config.norm_eps)
        self.attention = Projections(dim, config.n_heads, config.n_kv_heads, config.head_dim)
        self.q_norm = RMSNorm(dim, config.qk_norm_eps) if config.qk_norm else None
        self.k_norm = RMSNorm(dim, config.qk_norm_eps) if config.qk_norm else None
        self.ffn_norm = RMSNorm(dim, config.norm_eps)
        self.feed_forward = FeedForward(dim, config.hidden_dim)
        scale = torch.full((dim,), config.layer_scale_init)
        self.attention_scale = nn.Parameter(scale) if config.layer_scale else None
        self.ffn_scale = nn.Parameter(scale.clone()) if config.layer_scale else None
        self.register_buffer("slopes", torch.empty(config.n_heads), persistent=False)
        self.reset()

    def reset(self) -> None:
        """See `Rotary.reset`."""
        if not self.slopes.is_meta:
            self.slopes.copy_(torch.tensor(alibi_slopes(self._heads)))

    def fresh(self, batch: int, like: Tensor) -> Window:
        """State before a stream's first piece."""
        shape = (batch, self._heads, self.window, self._head_dim)
        return Window(like.new_zeros(shape), like.new_zeros(shape))

    def forward(self, x: Tensor, past: Window, bias: Tensor) -> tuple[Tensor, Window]:
        """x [B, T, D]; `bias`: see below."""
        q, k, v = self.attention.qkv(self.attention_norm(x)).chunk(3, dim=-1)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)  # over the whole width, before there are heads
        q, k, v = (part.unflatten(-1, (self._heads, -1)).transpose(1, 2) for part in (q, k, v))
        keys, values = torch.cat((past.keys, k), dim=2), torch.cat((past.values, v), dim=2)
        attended = self.attention.merge(attend(q, keys, values, bias))
        x = x + (attended if self.attention_scale is None else self.attention_scale * attended)
        fed = self.feed_forward(self.ffn_norm(x))
        x = x + (fed if self.ffn_scale is None else self.ffn_scale * fed)
        first = keys.shape[2] - self.window
        return x, Window(keys[:, :, first:], values[:, :, first:])

    def bias(self, x: Tensor, seen: Tensor) -> Tensor:
        """[B, H, T, window + T] What is added to a score: slope · (key − query) where the key may be seen. `seen` [B]:
        positions of each stream before this piece. The same for all layers of a stage."""
        window, length = self.window, x.shape[1]
        queries = torch.arange(window, window + length, device=seen.device)[:, None]
        keys = torch.arange(window + length, device=seen.device)
        distance = keys - queries
        near = (distance <= 0) & (distance >= -window)
        real = keys >= window - seen.clamp(max=window)[:, None]  # [B, keys]: the past of a young stream is short
        allowed = near & real[:, None]
        return torch.where(allowed[:, None], self.slopes[:, None, None] * distance, -math.inf).to(x.dtype)


def alibi_slopes(heads: int) -> list[float]:
    """1, ½, ¼, … for eight heads, r = 2^(−8 / heads) in general (Press et al. 2022, but from r⁰ on). Where the heads
    are no power of two: those of the next lower one, then every second of the next higher."""
    power = 1 << (heads.bit_length() - 1)
    slopes = [2 ** (-8 * head / power) for head in range(power)]
    between = [2 ** (-8 * head / (2 * power)) for head in range(0, 2 * power, 2)]
    return slopes + between[: heads - power]
