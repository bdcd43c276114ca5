"""Deliberate mistakes in the model, and the check that must see each."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.tts_worker.model.agreement import backbone_agrees, decoder_agrees, encoder_agrees, frames_agree, heads_agree
from tts_worker.model import backbone, codec_layers, convolution, flow, frames, layers, quantiser

Patch = pytest.MonkeyPatch


def half_split_rotary(patch: Patch) -> None:
    def turn(x: Tensor, turns: Tensor) -> None:
        first, second = x.chunk(2, dim=-1)
        cos, sin = turns.real, turns.imag
        x.copy_(torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1))

    patch.setattr(backbone, "turn", turn)


def no_rotary(patch: Patch) -> None:
    patch.setattr(backbone, "turn", lambda x, turns: None)


def rotary_the_other_way_round(patch: Patch) -> None:
    right = backbone.turn
    patch.setattr(backbone, "turn", lambda x, turns: right(x, turns.conj()))


def every_second_head_shares_its_keys(patch: Patch) -> None:
    right = layers.attend

    def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
        shuffled = q.unflatten(1, (-1, k.shape[1])).transpose(1, 2).flatten(1, 2)
        return right(shuffled, k, v, bias).unflatten(1, (k.shape[1], -1)).transpose(1, 2).flatten(1, 2)

    patch.setattr(backbone, "attend", attend)


def sines_before_cosines(patch: Patch) -> None:
    def token(self: flow.Heads, t: Tensor) -> Tensor:
        angles = t[:, None] * self.frequencies
        made: Tensor = self.time_in(torch.cat((angles.sin(), angles.cos()), dim=-1))
        return made

    patch.setattr(flow.Heads, "time_token", token)


def one_step_more(patch: Patch) -> None:
    made = flow.Heads.__init__

    def init(self: flow.Heads, *arguments: object) -> None:
        made(self, *arguments)  # type: ignore[arg-type]
        self.steps += 1

    patch.setattr(flow.Heads, "__init__", init)


def time_at_the_end_of_the_step(patch: Patch) -> None:
    patch.setattr(flow.Heads, "times", lambda self: (torch.arange(self.steps) + 1) / self.steps)


def guidance_forgotten(patch: Patch) -> None:
    right = flow.Heads.sample
    patch.setattr(flow.Heads, "sample", lambda self, s, n, g: right(self, s, n, torch.ones_like(g)))


def empty_allowed(patch: Patch) -> None:
    right = flow.Heads.reset

    def reset(self: flow.Heads) -> None:
        right(self)
        if not self.no_code.is_meta:
            self.no_code[frames.EMPTY] = False

    patch.setattr(flow.Heads, "reset", reset)


def padding_rows_allowed(patch: Patch) -> None:
    patch.setattr(flow.Heads, "semantic_logits", lambda self, state: self.semantic(state).float())


def head_masked_as_if_causal(patch: Patch) -> None:
    right = layers.attend

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        group = q.shape[1] // k.shape[1]
        return right(q, k, v, torch.ones(q.shape[2], k.shape[2]).tril().log().repeat(group, 1))

    patch.setattr(flow, "attend", attend)


def shift_forgotten(patch: Patch) -> None:
    patch.setattr(frames, "frame_of", lambda s, a, levels: torch.cat((s[:, None], frames.quantised(a, levels)), dim=1))


def rounded_offsets(patch: Patch) -> None:
    def embed(self: frames.FrameEmbedding, codes: Tensor) -> Tensor:
        offsets = torch.where(torch.arange(len(self.offsets)) > 0, self.offsets + 1, 0)
        return functional.embedding(codes + offsets, self.weight).sum(-2)

    patch.setattr(frames.FrameEmbedding, "forward", embed)


def quantised_downwards(patch: Patch) -> None:
    patch.setattr(frames, "quantised", lambda x, levels: ((x.clamp(-1, 1) + 1) / 2 * (levels - 1)).floor().long())


def slopes_from_one_half(patch: Patch) -> None:
    right = codec_layers.alibi_slopes
    patch.setattr(codec_layers, "alibi_slopes", lambda heads: [right(heads)[1] * slope for slope in right(heads)])


def window_one_short(patch: Patch) -> None:
    right = codec_layers.CodecLayer.__init__
    patch.setattr(codec_layers.CodecLayer, "__init__", lambda self, config, window: right(self, config, window - 1))


def window_endless(patch: Patch) -> None:
    right = codec_layers.CodecLayer.__init__
    patch.setattr(codec_layers.CodecLayer, "__init__", lambda self, config, window: right(self, config, 99))


def distance_rewarded(patch: Patch) -> None:
    right = codec_layers.alibi_slopes
    patch.setattr(codec_layers, "alibi_slopes", lambda heads: [-slope for slope in right(heads)])


def norm_with_another_eps(patch: Patch) -> None:
    right = layers.RMSNorm.__init__
    patch.setattr(layers.RMSNorm, "__init__", lambda self, dim, eps: right(self, dim, 1e-5))


def norm_without_the_mean(patch: Patch) -> None:
    def norm(self: layers.RMSNorm, x: Tensor) -> Tensor:
        return x / x.norm(dim=-1, keepdim=True) * self.weight

    patch.setattr(layers.RMSNorm, "forward", norm)


def zeros_before_the_first_code(patch: Patch) -> None:
    right = convolution.CausalConv._padded
    patch.setattr(convolution.CausalConv, "_padded", lambda self, x: 0 * right(self, x))


def reflection_with_the_edge(patch: Patch) -> None:
    right = convolution.CausalConv._padded

    def padded(self: convolution.CausalConv, x: Tensor) -> Tensor:
        return right(self, x) if self._padding == "replicate" else x[:, : self.past].flip(1)

    patch.setattr(convolution.CausalConv, "_padded", padded)


def transposed_cut_at_the_front(patch: Patch) -> None:
    right = convolution.CausalUpConv.forward

    def forward(self: convolution.CausalUpConv, x: Tensor, past: Tensor, begun: Tensor) -> tuple[Tensor, Tensor]:
        return right(self, functional.pad(x, (0, 0, 0, 1))[:, 1:], past, begun)

    patch.setattr(convolution.CausalUpConv, "forward", forward)


def taps_in_the_order_of_inputs(patch: Patch) -> None:
    right = convolution.CausalUpConv.matrix

    def matrix(self: convolution.CausalUpConv) -> Tensor:
        return right(self).unflatten(1, (1 + self.past, -1)).flip(1).flatten(1)

    patch.setattr(convolution.CausalUpConv, "matrix", matrix)


def gate_and_up_changed_places(patch: Patch) -> None:
    def forward(self: layers.FeedForward, x: Tensor) -> Tensor:
        up, gate = self.gate_up(x).chunk(2, dim=-1)
        down: Tensor = self.down(functional.silu(gate) * up)
        return down

    patch.setattr(layers.FeedForward, "forward", forward)


def table_not_divided(patch: Patch) -> None:
    patch.setattr(quantiser.Quantiser, "table", lambda self: self.embedding_sum.float())


def acoustic_before_semantic(patch: Patch) -> None:
    right = quantiser.Quantiser.decode

    def decode(self: quantiser.Quantiser, codes: Tensor, table: Tensor) -> Tensor:
        return right(self, codes, table).roll(-self.semantic_dim, dims=-1)

    patch.setattr(quantiser.Quantiser, "decode", decode)


def level_without_tanh(patch: Patch) -> None:
    patch.setattr(Tensor, "tanh", lambda self: self.clamp(-1, 1))


MISTAKES = (
    (every_second_head_shares_its_keys, backbone_agrees),
    (half_split_rotary, backbone_agrees),
    (no_rotary, backbone_agrees),
    (rotary_the_other_way_round, backbone_agrees),
    (norm_without_the_mean, backbone_agrees),
    (gate_and_up_changed_places, backbone_agrees),
    (sines_before_cosines, heads_agree),
    (one_step_more, heads_agree),
    (time_at_the_end_of_the_step, heads_agree),
    (guidance_forgotten, heads_agree),
    (empty_allowed, heads_agree),
    (padding_rows_allowed, heads_agree),
    (head_masked_as_if_causal, heads_agree),
    (shift_forgotten, frames_agree),
    (rounded_offsets, frames_agree),
    (quantised_downwards, frames_agree),
    (slopes_from_one_half, decoder_agrees),
    (window_one_short, decoder_agrees),
    (window_endless, decoder_agrees),
    (distance_rewarded, decoder_agrees),
    (norm_with_another_eps, decoder_agrees),
    (zeros_before_the_first_code, decoder_agrees),
    (reflection_with_the_edge, decoder_agrees),
    (transposed_cut_at_the_front, decoder_agrees),
    (taps_in_the_order_of_inputs, decoder_agrees),
    (table_not_divided, decoder_agrees),
    (acoustic_before_semantic, decoder_agrees),
    (level_without_tanh, encoder_agrees),
)
