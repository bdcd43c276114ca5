"""What backbone and heads are trained for: telling the next semantic code, and the velocity of the acoustic values.

Paper (arXiv 2603.25551), "pre-training": cross-entropy and squared error of the velocity, added. The modules are the
engine's own; only the way through the backbone is another one, which gradients can go back.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tts_worker.forge.examples import SpeechBatch
from tts_worker.forge.speech_job import SpeechJob
from tts_worker.model.backbone import Backbone, BackboneLayer
from tts_worker.model.config import END
from tts_worker.model.frames import dequantised
from tts_worker.model.network import Voxtral

ROWS = 32_768
"""Draws that go through the head together: kernels of attention on a card have no more than 65,535 rows."""
_EMBEDDED = 0.3
"""Size of an input's numbers at the beginning."""


@dataclass(frozen=True)
class Told:
    """Losses of a batch, and how often the likeliest semantic code was the right one."""

    semantic: Tensor
    flow: Tensor
    right: Tensor
    """Share."""
    ends: Tensor
    """[B] Whether each utterance's END was told."""


def trained(model: Voxtral) -> dict[str, torch.nn.Parameter]:
    """Everything but the codec, by name."""
    return {n: p for n, p in model.named_parameters() if not n.startswith(("decoder.", "encoder."))}


@torch.no_grad()
def initialise(model: Voxtral, seed: int) -> None:
    """Random weights: what goes through a matrix keeps its size, what a layer adds is small, no velocity yet."""
    generator = torch.Generator().manual_seed(seed)
    depth = {"backbone": model.config.n_layers, "heads": model.config.flow.n_layers}
    for name, weight in trained(model).items():
        if weight.ndim == 1 or name == "heads.values_out.weight":
            weight.fill_(1.0 if weight.ndim == 1 else 0.0)
            continue
        width = weight.shape[1] ** -0.5
        if name == "text_embedding.weight":
            width = _EMBEDDED
        elif name == "frame_embedding.weight":
            width = _EMBEDDED * model.config.audio.codebooks**-0.5  # a frame is the sum of its codes
        elif name == "heads.semantic.weight":
            width *= 0.1
        elif name.endswith(("attention.out.weight", "feed_forward.down.weight")):
            width *= (2 * depth[name.split(".")[0]]) ** -0.5
        weight.copy_(torch.randn(weight.shape, generator=generator) * width)


def states(backbone: Backbone, inputs: Tensor) -> Tensor:
    """[B, T, D] from position 0 on → the backbone's states [B, T, D], as `Backbone.forward` gives them.

    That one writes into a cache, which gradients cannot follow. Nothing masks padding: it comes after what counts, and
    no position sees what comes after it.
    """
    turns = backbone.rotary.turns(torch.arange(inputs.shape[1], device=inputs.device)[None])
    x = inputs
    for layer in backbone.layers:
        x = _layer(layer, x, turns)
    normed: Tensor = backbone.norm(x)
    return normed


def _layer(layer: BackboneLayer, x: Tensor, turns: Tensor) -> Tensor:
    attention = layer.attention
    heads = attention.qkv(layer.attention_norm(x)).unflatten(-1, (-1, attention.head_dim))  # [B, T, H + 2 kv, K]
    q, k, v = heads.split([attention.heads, attention.kv_heads, attention.kv_heads], dim=2)
    q, k, v = _turned(q, turns).transpose(1, 2), _turned(k, turns).transpose(1, 2), v.transpose(1, 2)
    attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    x = x + attention.merge(attended)
    return x + layer.feed_forward(layer.ffn_norm(x))


def _turned(x: Tensor, turns: Tensor) -> Tensor:
    """As `rotary.turn`, not in place."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turns).flatten(-2).to(x.dtype)


def told(model: Voxtral, batch: SpeechBatch, settings: SpeechJob, generator: torch.Generator) -> Told:
    """The losses of a batch; times, noise and who goes without the state come from `generator`, of the same device."""
    inputs = model.text_embedding(batch.tokens)
    flat = inputs.flatten(0, 1).index_copy(0, batch.places, model.frame_embedding(batch.codes))
    state = states(model.backbone, flat.view_as(inputs)).flatten(0, 1)[batch.heard]  # [M, D]
    logits = model.heads.semantic_logits(state)
    share = batch.weight / batch.weight.sum()
    semantic = (functional.cross_entropy(logits, batch.semantic, reduction="none") * share).sum()
    hits = logits.detach().argmax(-1) == batch.semantic
    flow = _flow(model, batch, state[batch.sounding], settings, generator)
    return Told(semantic, flow, hits.float().mean(), hits[batch.semantic == END])


def _flow(model: Voxtral, batch: SpeechBatch, state: Tensor, settings: SpeechJob, generator: torch.Generator) -> Tensor:
    """Squared error of the velocity on the straight way from noise (t = 0) to the codes' values (t = 1)."""
    draws = settings.draws
    values = dequantised(batch.acoustic, model.config.audio.acoustic_codebook_size).repeat(draws, 1)  # [draws · F, C]
    t, dropped = torch.rand(2, len(values), generator=generator, device=values.device)
    noise = torch.randn(values.shape, generator=generator, device=values.device)
    seen = state.repeat(draws, 1) * (dropped >= settings.unconditional)[:, None]
    between = torch.lerp(noise, values, t[:, None])
    parts = zip(between.split(ROWS), t.split(ROWS), seen.split(ROWS), strict=True)
    field = torch.cat([model.heads.velocity(*part) for part in parts])
    error = (field.float() - (values - noise)).square().mean(-1)
    weight = batch.weight[batch.sounding].repeat(draws)
    return (error * weight).sum() / weight.sum()


def rate(settings: SpeechJob, step: int) -> float:
    """Of learning at a step: up over the first steps, then a cosine down to nothing."""
    if step < settings.warm_up:
        return settings.rate * (step + 1) / (settings.warm_up + 1)
    share = min(1.0, (step - settings.warm_up) / max(1, settings.steps - settings.warm_up))
    return settings.rate * 0.5 * (1 + math.cos(math.pi * share))
