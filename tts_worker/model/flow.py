"""The heads: a semantic code by argmax, and the acoustic codes by integrating a velocity field from noise.

Euler steps with classifier-free guidance from t = 0 (noise) to 1 (data); paper section "flow-matching transformer".
Three tokens go through a few bidirectional blocks: the values so far, the time, the backbone's state.
"""

import math

import torch
from torch import Tensor, nn

from tts_worker.model.config import SPECIALS, AudioModel, Flow
from tts_worker.model.frames import EMPTY
from tts_worker.model.layers import Block, Modules, RMSNorm, attend

GUIDANCE = 1.2
"""The default of the family."""
_LONGEST_PERIOD = 10_000.0


class FlowLayer(Block):
    """As a backbone's layer, but every token sees every other and there are no positions."""

    def qkv(self, x: Tensor) -> Tensor:
        """[B, T, D] → queries, keys and values side by side."""
        projected: Tensor = self.attention.qkv(self.attention_norm(x))
        return projected

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, D] → the same."""
        return self.finish(x, self.qkv(x))

    def finish(self, x: Tensor, qkv: Tensor) -> Tensor:
        """The layer, when its projections are there already."""
        x = x + self.attention.merge(attend(*self.attention.split(qkv)))
        return x + self.feed_forward(self.ffn_norm(x))

    def finish_first(self, x: Tensor, qkv: Tensor) -> Tensor:
        """[B, 3, D] → the first token of what `finish` gives, [B, 1, D]: of the last layer nothing else is read."""
        q, k, v = self.attention.split(qkv)
        first = x[:, :1] + self.attention.merge(attend(q[:, :, :1], k, v))
        return first + self.feed_forward(self.ffn_norm(first))


class Heads(nn.Module):
    """Everything between the backbone's state and a frame of codes."""

    frequencies: Tensor

    def __init__(self, config: Flow, audio: AudioModel) -> None:
        super().__init__()
        dim = config.dim
        self.steps = config.n_decoding_steps
        self.books = audio.n_acoustic_codebook
        self._codes = audio.semantic_codebook_size + SPECIALS
        self.semantic = nn.Linear(dim, audio.semantic_rows, bias=False)
        self.values_in = nn.Linear(self.books, dim, bias=False)
        self.time_in = nn.Linear(dim, dim, bias=False)
        self.state_in = nn.Linear(dim, dim, bias=False)
        self.layers: Modules[FlowLayer] = Modules(FlowLayer(config) for _ in range(config.n_layers))
        self.norm = RMSNorm(dim, config.norm_eps)
        self.values_out = nn.Linear(dim, self.books, bias=False)
        self.register_buffer("frequencies", torch.empty(dim // 2), persistent=False)
        self.reset()

    def reset(self) -> None:
        """See `Rotary.reset`."""
        half = self.frequencies.shape[0]
        if not self.frequencies.is_meta:
            self.frequencies.copy_(torch.exp(torch.arange(half) * (-math.log(_LONGEST_PERIOD) / half)))

    # -- the semantic code -------------------------------------------------------------------------------------------

    def semantic_logits(self, state: Tensor) -> Tensor:
        """States [B, D] as the backbone gives them → [B, rows], float32; EMPTY and the rows without a code at −inf."""
        logits = self.semantic(state).float()
        logits[:, EMPTY] = -math.inf
        logits[:, self._codes :] = -math.inf
        return logits

    # -- the velocity field ------------------------------------------------------------------------------------------

    def time_token(self, t: Tensor) -> Tensor:
        """Times [N], 0 to 1 → [N, D]: cosines, then sines."""
        angles = t[:, None] * self.frequencies
        embedded = torch.cat((angles.cos(), angles.sin()), dim=-1)
        token: Tensor = self.time_in(embedded.to(self.time_in.weight.dtype))
        return token

    def velocity(self, values: Tensor, t: Tensor, state: Tensor) -> Tensor:
        """The field at values [B, books], times [B], states [B, D] (zero: unconditional) → [B, books].

        The definition, as training needs it; `sample` computes the same with less work.
        """
        x = torch.stack((self.values_in(values), self.time_token(t), self.state_in(state)), dim=1)
        for layer in self.layers:
            x = layer(x)
        field: Tensor = self.values_out(self.norm(x[:, 0]))
        return field

    # -- sampling ----------------------------------------------------------------------------------------------------

    def times(self) -> Tensor:
        """[steps] Where the field is read: k / steps."""
        return torch.arange(self.steps, device=self.frequencies.device) / self.steps

    def sample(self, state: Tensor, noise: Tensor, guidance: Tensor) -> Tensor:
        """States [B, D], noise [B, books], guidance [B] (1: none) → values [B, books].

        Both halves of the guidance run as one batch. What does not depend on the values is computed once per frame:
        in the first layer the norms and projections of the time and of the state; of the last layer only the token
        that is read. Exact: the same products in another order.
        """
        batch = state.shape[0]
        states = self.state_in(torch.cat((state, torch.zeros_like(state))))[:, None]  # [2B, 1, D]
        times = self.time_token(self.times())  # [steps, D]
        first = self.layers.first()
        states_qkv, times_qkv = first.qkv(states), first.qkv(times[:, None])  # [2B, 1, …], [steps, 1, …]
        weight = guidance.to(noise.dtype)[:, None]
        values = noise
        for k in range(self.steps):
            token = self.values_in(values)[:, None]  # [B, 1, D]: the same for both halves
            x = torch.cat((token.repeat(2, 1, 1), times[k].expand(2 * batch, 1, -1), states), dim=1)
            qkv = torch.cat(
                (first.qkv(token).repeat(2, 1, 1), times_qkv[k].expand(2 * batch, 1, -1), states_qkv), dim=1
            )
            field = self._through(x, qkv)
            values = values + (weight * field[:batch] + (1 - weight) * field[batch:]) / self.steps
        return values

    def _through(self, x: Tensor, qkv: Tensor) -> Tensor:
        """[2B, 3, D] and the first layer's projections → [2B, books]."""
        last = len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            qkv = layer.qkv(x) if index else qkv
            x = layer.finish(x, qkv) if index < last else layer.finish_first(x, qkv)
        field: Tensor = self.values_out(self.norm(x[:, 0]))
        return field
