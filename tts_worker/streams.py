"""The step that all streams take together, and the tensors that it works on: a row for each slot.

Everything that differs between streams lies in these tensors, which never move, so that a step can be recorded and
replayed. Nothing in it waits for the host.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tts_worker.model.backbone import Cache
from tts_worker.model.config import END
from tts_worker.model.frames import frame_of
from tts_worker.model.network import Voxtral
from tts_worker.model.noise import normal
from tts_worker.tuning import Shape


@dataclass(frozen=True, slots=True)
class Streams:
    """Where each slot's stream stands, and what the last step made of it."""

    cache: Cache
    state: Tensor
    """[slots, D] What the backbone says of the newest position: the next frame is read from it."""
    position: Tensor
    """[slots] Of the next input, int64."""
    number: Tensor
    """[slots] Of the next frame, int64."""
    seed: Tensor
    """[slots] int64"""
    guidance: Tensor
    """[slots] float32"""
    active: Tensor
    """[slots] Whether the stream takes part in the step. The others are computed, too, and stay where they are."""
    frames: Tensor
    """[slots, books] Made by the last step, shifted, int64."""
    finite: Tensor
    """[slots] Whether all numbers of the last step were."""

    @classmethod
    def empty(cls, model: Voxtral, slots: int, length: int) -> "Streams":
        """`slots` streams of up to `length` positions."""
        weight = model.text_embedding.weight
        device, dtype = weight.device, weight.dtype
        whole = torch.zeros(slots, dtype=torch.int64, device=device)
        return cls(
            cache=Cache.empty(model.config, slots, length, dtype, device),
            state=torch.zeros(slots, model.config.dim, dtype=dtype, device=device),
            position=whole,
            number=whole.clone(),
            seed=whole.clone(),
            guidance=torch.ones(slots, device=device),
            active=torch.zeros(slots, dtype=torch.bool, device=device),
            frames=torch.zeros(slots, 1 + model.heads.books, dtype=torch.int64, device=device),
            finite=torch.ones(slots, dtype=torch.bool, device=device),
        )


def advance(model: Voxtral, streams: Streams, shape: Shape) -> None:
    """The next frame of every active slot, and its position of the backbone."""
    next_frames(model, streams, shape)
    next_states(model, streams, shape)


def next_frames(model: Voxtral, streams: Streams, shape: Shape) -> None:
    """From the states: semantic codes, and the acoustic ones by Euler steps."""
    rows = slice(shape.rows)
    state, number, heads = streams.state[rows], streams.number[rows], model.heads
    logits = heads.semantic_logits(state)
    logits[:, END].masked_fill_(number == 0, -math.inf)  # there is always something to say
    noise = normal(streams.seed[rows], number, heads.books).to(state.dtype)
    values = heads.sample(state, noise, streams.guidance[rows], shape.guided)
    streams.finite[rows] = state.isfinite().all(-1) & values.isfinite().all(-1)
    # What is no number has no code either, and a code that does not exist would stop every stream.
    levels = model.config.audio.acoustic_codebook_size
    streams.frames[rows] = frame_of(logits.argmax(-1), values.nan_to_num(), levels)


def next_states(model: Voxtral, streams: Streams, shape: Shape) -> None:
    """From the frames: one position of the backbone."""
    rows = slice(shape.rows)
    frames, state, position, active = (
        tensor[rows] for tensor in (streams.frames, streams.state, streams.position, streams.active)
    )
    places = position.clamp(max=shape.reach - 1)[:, None]  # slots where nobody speaks may stand anywhere
    cache = streams.cache.rows(0, shape.rows, shape.reach)
    following = model.backbone(model.frame_embedding(frames)[:, None], places, cache)[:, 0]
    state.copy_(torch.where(active[:, None], following, state))
    streams.number[rows].add_(active)
    # A stream whose end is not noticed yet stays inside its slot.
    position.copy_((position + active).clamp(max=streams.cache.length - 1))
