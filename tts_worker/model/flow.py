"""The heads: a semantic code by argmax, and the acoustic codes by integrating a velocity field from noise.

Euler steps with classifier-free guidance from t = 0 (noise) to 1 (data); paper section "flow-matching transformer".
Three tokens go through a few bidirectional blocks: the values so far, the time, the backbone's state.
"""

import math

import torch
from torch import Tensor, nn

from tts_worker.model.config import EMPTY, SPECIALS, AudioModel, Flow
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

    def first(self, x: Tensor, qkv: Tensor | None) -> Tensor:
        """[B, 3, D] → the first token of what the layer gives, [B, 1, D]: of the last one nothing else is read."""
        if qkv is None:
            q, k, v = self.attention.first_query(self.attention_norm(x))
        else:
            q, k, v = self.attention.split(qkv)
        token = x[:, :1] + self.attention.merge(attend(q[:, :, :1], k, v))
        return token + self.feed_forward(self.ffn_norm(token))


class Heads(nn.Module):
    """Everything between the backbone's state and a frame of codes."""

    frequencies: Tensor
    no_code: Tensor

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
        self.register_buffer("no_code", torch.empty(audio.semantic_rows, dtype=torch.bool), persistent=False)
        self._folded: tuple[Tensor, Tensor] | None = None
        self.reset()

    def reset(self) -> None:
        """See `Rotary.reset`."""
        half = self.frequencies.shape[0]
        if not self.frequencies.is_meta:
            self.frequencies.copy_(torch.exp(torch.arange(half) * (-math.log(_LONGEST_PERIOD) / half)))
            row = torch.arange(self.no_code.shape[0])
            self.no_code.copy_((row == EMPTY) | (row >= self._codes))

    @torch.no_grad()
    def fold(self) -> None:
        """Compute once what does not change any more: the times' tokens and what the first layer makes of them."""
        self._folded = self._time_tokens()

    # -- the semantic code -------------------------------------------------------------------------------------------

    def semantic_logits(self, state: Tensor) -> Tensor:
        """States [B, D] as the backbone gives them → [B, rows], float32; EMPTY and the rows without a code at −inf."""
        logits: Tensor = self.semantic(state).float()
        return logits.masked_fill_(self.no_code, -math.inf)

    # -- the velocity field ------------------------------------------------------------------------------------------

    def time_token(self, t: Tensor) -> Tensor:
        """Times [N], 0 to 1 → [N, D]: cosines, then sines."""
        angles = t[:, None] * self.frequencies
        embedded = torch.cat((angles.cos(), angles.sin()), dim=-1)
        token: Tensor = self.time_in(embedded.to(self.norm.weight.dtype))
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

    def sample(self, state: Tensor, noise: Tensor, guidance: Tensor, guided: bool = True) -> Tensor:
        """States [B, D], noise [B, books], guidance [B] (1: none) → values [B, books].

        Both halves of the guidance run as one batch; where it is 1 for all, `guided` may be False: only one half is
        computed. What does not depend on the values is computed once per frame: in the first layer the norms and
        projections of the time and of the state; of the last layer only the token that is read. Exact: the same
        products in another order.
        """
        x, qkv = self._constant(state, 2 if guided else 1)
        first = self.layers.first()
        weight = guidance.to(x.dtype)[:, None]
        values = noise
        for k in range(self.steps):
            token = self.values_in(values.to(x.dtype))  # [B, D]: the same for both halves
            x[k, :, :, 0] = token
            qkv[k, :, :, 0] = first.qkv(token)
            field = self._through(x[k].flatten(0, 1), qkv[k].flatten(0, 1)).unflatten(0, (-1, len(state)))
            step = torch.lerp(field[1], field[0], weight) if guided else field[0]
            values = values.add(step, alpha=1 / self.steps)
        return values

    def _constant(self, state: Tensor, halves: int) -> tuple[Tensor, Tensor]:
        """The tokens in front of the first layer and its projections of them, [steps, halves, B, 3, …]; the values'
        tokens are yet to be filled in. Without a state its token is zero, and so are its projections."""
        times, times_qkv = self._folded or self._time_tokens()
        token = self.state_in(state)
        made = []
        for of_times, of_state in ((times, token), (times_qkv, self.layers.first().qkv(token))):
            tokens = of_state.new_zeros(self.steps, halves, len(state), 3, of_state.shape[1])
            tokens[..., 1, :] = of_times[:, None, None]
            tokens[:, 0, :, 2] = of_state
            made.append(tokens)
        return made[0], made[1]

    def _time_tokens(self) -> tuple[Tensor, Tensor]:
        """[steps, D], and what the first layer makes of them, [steps, …]."""
        tokens = self.time_token(self.times())
        return tokens, self.layers.first().qkv(tokens)

    def _through(self, x: Tensor, qkv: Tensor | None) -> Tensor:
        """[N, 3, D] and the first layer's projections → [N, books]."""
        *layers, last = self.layers
        for layer in layers:
            x, qkv = layer.finish(x, layer.qkv(x) if qkv is None else qkv), None
        field: Tensor = self.values_out(self.norm(last.first(x, qkv)[:, 0]))
        return field
