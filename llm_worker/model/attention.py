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

    def project(self, x: Tensor, places: Places) -> tuple[Tensor, Tensor]:
        """x [B, T, D] → queries [B, T, H, N + R], with rotation and temperature, and latents [B, T, rank + R] for the
        cache: normed, the key with its rotation."""
        query, latent, key = self.narrow(x).split((self._query_rank, self._rank, self._rope), dim=-1)
        still, turning = (
            self.queries(self.query_norm(query)).unflatten(-1, (self._heads, -1)).split((self._nope, self._rope), -1)
        )
        queries = torch.cat((still, places.turned(turning)), dim=-1) * places.temperature.to(x.dtype)
        key = places.turned(key.unsqueeze(2)).squeeze(2)
        return queries, torch.cat((self.latent_norm(latent), key), dim=-1)

    def attend(self, queries: Tensor, latents: Tensor, visible: Tensor, form: Form) -> Tensor:
        """Queries [B, T, H, N + R] over latents [B, L, rank + R], where `visible` [B, T, L], → [B, T, D]."""
        attended = (self._expanded if form == "expanded" else self._absorbed)(queries, latents, visible)
        return self.out(attended.flatten(2))

    def _expanded(self, queries: Tensor, latents: Tensor, visible: Tensor) -> Tensor:
        """→ [B, T, H, V]."""
        latent, turned = latents.split((self._rank, self._rope), dim=-1)
        keys, values = (
            self.keys_values(latent).unflatten(-1, (self._heads, -1)).split((self._nope, self._values), dim=-1)
        )
        keys = torch.cat((keys, turned.unsqueeze(2).expand(-1, -1, self._heads, -1)), dim=-1)
        attended = functional.scaled_dot_product_attention(
            queries.transpose(1, 2),
            keys.transpose(1, 2),
            values.transpose(1, 2),
            attn_mask=visible.unsqueeze(1),
            scale=self._scale,
        )
        return attended.transpose(1, 2)

    def _absorbed(self, queries: Tensor, latents: Tensor, visible: Tensor) -> Tensor:
        """→ [B, T, H, V]. The scale is that of the expanded form: the algebra is the same."""
        batch, length, heads, _ = queries.shape
        keys, values = self.keys_values.weight.unflatten(0, (heads, -1)).split((self._nope, self._values), dim=1)
        still, turning = queries.split((self._nope, self._rope), dim=-1)
        reached = torch.cat((torch.einsum("bthn,hnr->bthr", still, keys), turning), dim=-1)
        scores = (reached.flatten(1, 2) @ latents.transpose(1, 2)).unflatten(1, (length, heads)) * self._scale
        hidden = ~visible.unsqueeze(2)
        weights = scores.float().masked_fill(hidden, -torch.inf).softmax(dim=-1).to(queries.dtype)
        mixed = (weights.flatten(1, 2) @ latents[..., : self._rank]).view(batch, length, heads, self._rank)
        return torch.einsum("bthr,hvr->bthv", mixed, values)
