"""Multi-head latent attention (arXiv 2405.04434), in two forms that compute the same.

Expanded: keys and values are made from the cached latents; fewer operations for each query and key, so for prefill.
Absorbed: queries are brought to the latents instead, and the cache is read as it is; for a few new tokens.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from llm_worker.model.config import Config
from llm_worker.model.layers import RMSNorm
from llm_worker.model.positions import Places

Form = Literal["expanded", "absorbed"]


class Attention(nn.Module):
    """B rows, T tokens of each, L keys, H heads; queries of N lanes without position and R with, values of V lanes."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self._heads, self._scale = config.n_heads, config.softmax_scale
        self._query_rank, self._rank = config.q_lora_rank, config.kv_lora_rank
        self._nope, self._rope, self._values = config.qk_nope_head_dim, config.qk_rope_head_dim, config.v_head_dim
        # One matrix: the query's latent, the cached latent, the key with rotation.
        self.narrow = nn.Linear(config.dim, config.q_lora_rank + config.latent_dim, bias=False)
        self.query_norm = RMSNorm(config.q_lora_rank, config.norm_eps)
        self.latent_norm = RMSNorm(config.kv_lora_rank, config.norm_eps)
        self.queries = nn.Linear(config.q_lora_rank, config.n_heads * config.query_dim, bias=False)
        # For each head its key's lanes, then its value's.
        per_head = config.qk_nope_head_dim + config.v_head_dim
        self.keys_values = nn.Linear(config.kv_lora_rank, config.n_heads * per_head, bias=False)
        self.out = nn.Linear(config.n_heads * config.v_head_dim, config.dim, bias=False)

    def project(self, x: Tensor, places: Places) -> tuple[Tensor, Tensor, Tensor]:
        """x [B, T, D] → queries with temperature, [B, T, H, N] without and [B, T, H, R] with rotation, and latents
        [B, T, rank + R] for the cache: normed, then the key with its rotation."""
        query, latent, key = self.narrow(x).split((self._query_rank, self._rank, self._rope), dim=-1)
        wide = self.queries(self.query_norm(query)) * places.temperature.to(x.dtype)
        still, turning = wide.unflatten(-1, (self._heads, -1)).split((self._nope, self._rope), dim=-1)
        turned = places.turned(torch.cat((turning, key.unsqueeze(2)), dim=2))
        turning, key = turned.split((self._heads, 1), dim=2)
        return still, turning, torch.cat((self.latent_norm(latent), key.squeeze(2)), dim=-1)

    def expanded(self, still: Tensor, turning: Tensor, latents: Tensor, mask: Tensor) -> Tensor:
        """Queries [B, T, H, N] and [B, T, H, R] over latents [B, L, rank + R], with `mask` [B, T, L], → [B, T, D]."""
        keys, values = self._keys_values(latents)
        attended = functional.scaled_dot_product_attention(
            torch.cat((still, turning), dim=-1).transpose(1, 2),
            keys.transpose(1, 2),
            values.transpose(1, 2),
            attn_mask=mask.unsqueeze(1),
            scale=self._scale,
        )
        return self.out(attended.transpose(1, 2).flatten(2))

    def by_head(self, x: Tensor, places: Places) -> tuple[Tensor, Tensor, Tensor]:
        """One sequence x [1, T, D] → queries with scale and keys [H, T, N + R], and values [H, T, V]: what comes before
        scores, for whoever computes these in another way."""
        still, turning, latents = self.project(x, places)
        keys, values = self._keys_values(latents)
        queries = torch.cat((still, turning), dim=-1) * self._scale
        by_head = (each[0].transpose(0, 1).contiguous() for each in (queries, keys, values))
        return next(by_head), next(by_head), next(by_head)

    def _keys_values(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Latents [B, L, rank + R] → [B, L, H, N + R] and [B, L, H, V]."""
        latent, turned = latents.split((self._rank, self._rope), dim=-1)
        per_head = self.keys_values(latent).unflatten(-1, (self._heads, -1))
        keys, values = per_head.split((self._nope, self._values), dim=-1)
        return torch.cat((keys, turned.unsqueeze(2).expand(-1, -1, self._heads, -1)), dim=-1), values

    def absorbed(self, still: Tensor, turning: Tensor, latents: Tensor, mask: Tensor) -> Tensor:
        """The same. The scale is that of the expanded form, and not of the wider products: the algebra is the same."""
        batch, length, heads, _ = still.shape
        keys, values = self.keys_values.weight.unflatten(0, (heads, -1)).split((self._nope, self._values), dim=1)
        reaching = _by_head(still, keys).unflatten(0, (batch, length))
        queries = torch.cat((reaching, turning), dim=-1).flatten(1, 2)
        hidden = mask.unsqueeze(2).expand(-1, -1, heads, -1).flatten(1, 2)
        scores = torch.baddbmm(hidden, queries, latents.transpose(1, 2), alpha=self._scale)
        weights = scores.softmax(dim=-1, dtype=torch.float32).to(still.dtype)
        mixed = torch.bmm(weights, latents[..., : self._rank]).view(batch, length, heads, self._rank)
        return self.out(_by_head(mixed, values.transpose(1, 2)).view(batch, length, -1))


def _by_head(x: Tensor, matrices: Tensor) -> Tensor:
    """x [B, T, H, K] times matrices [H, K, M], head by head, → [B T, H, M]."""
    return torch.bmm(x.flatten(0, 1).transpose(0, 1), matrices).transpose(0, 1).contiguous()
