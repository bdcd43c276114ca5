"""Streams on tensors: a slot each, one frame a step, all of them in one batch. The engine's thread owns it.

A step is: heads (semantic code, then the Euler steps), the frame's embedding, one position of the backbone. Everything
that differs between streams lies in tensors with a row per slot, so that a step has the same shape whoever takes part.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tts_worker.model.backbone import Cache
from tts_worker.model.codec import CodecState
from tts_worker.model.config import SPECIALS
from tts_worker.model.flow import GUIDANCE
from tts_worker.model.frames import END, frame_of
from tts_worker.model.network import Voxtral
from tts_worker.model.noise import normal


@dataclass(frozen=True, slots=True)
class Beginning:
    """A stream that is to enter a slot."""

    slot: int
    voice: str
    ids: Sequence[int]
    """The prompt behind the voice."""
    seed: int
    guidance: float = GUIDANCE
    frames: Tensor | None = None
    """[n, books] Frames that were made already, shifted."""


@dataclass(frozen=True, slots=True)
class _Prefix:
    """The part of a prompt that all streams of a voice share, computed once."""

    keys: Tensor
    """[layers, 1, kv heads, length, K]"""
    values: Tensor

    @property
    def length(self) -> int:
        return self.keys.shape[3]


class Runner:
    """`slots` streams of up to `length` positions each."""

    def __init__(self, model: Voxtral, slots: int, length: int) -> None:
        weight = model.text_embedding.weight
        self.model, self.slots, self.length = model, slots, length
        self._device, self._dtype = weight.device, weight.dtype
        self._cache = Cache.empty(model.config, slots, length, self._dtype, self._device)
        self._codec: CodecState = model.decoder.fresh(slots)
        self._prefixes: dict[str, _Prefix] = {}
        self._state = torch.zeros(slots, model.config.dim, dtype=self._dtype, device=self._device)
        self._position = torch.zeros(slots, dtype=torch.int64, device=self._device)
        self._frame = torch.zeros_like(self._position)
        self._seed = torch.zeros_like(self._position)
        self._guidance = torch.ones(slots, device=self._device)

    # -- prompts -----------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def add_voice(self, name: str, ids: Sequence[int], rows: Tensor) -> None:
        """Compute what all streams of a voice begin with. The name is the key: the ids of two voices may be equal."""
        cache = Cache.empty(self.model.config, 1, len(ids), self._dtype, self._device)
        inputs = self.model.prompt(torch.tensor(ids, device=self._device), rows.to(self._device))
        self.model.backbone(inputs[None], torch.arange(len(ids), device=self._device)[None], cache)
        self._prefixes[name] = _Prefix(cache.keys, cache.values)

    def positions(self, voice: str, ids: Sequence[int], frames: int) -> int:
        """What a stream of so many frames needs of its slot."""
        return self._prefixes[voice].length + len(ids) + frames

    @torch.inference_mode()
    def begin(self, start: Beginning) -> None:
        """Put a stream into its slot: the prompt, and the frames made already, go through the backbone.

        Raises ValueError when it does not fit. What was in the slot is forgotten. The codec begins anew: who goes on
        with a stream decodes its frames first.
        """
        prefix, slot = self._prefixes[start.voice], start.slot
        made = 0 if start.frames is None else len(start.frames)
        if (needed := self.positions(start.voice, start.ids, made)) > self.length:
            raise ValueError(f"the prompt takes {needed} positions of {self.length}")
        row = self._cache.rows(slot, slot + 1, self.length)
        row.keys.zero_()  # a stream that broke may have left numbers that are not finite
        row.values.zero_()
        row.keys[:, :, :, : prefix.length], row.values[:, :, :, : prefix.length] = prefix.keys, prefix.values
        inputs = self.model.prompt(torch.tensor(start.ids, device=self._device))
        if start.frames is not None:
            inputs = torch.cat((inputs, self.model.frame_embedding(start.frames.to(self._device))))
        end = prefix.length + len(inputs)
        places = torch.arange(prefix.length, end, device=self._device)
        self._state[slot] = self.model.backbone(inputs[None], places[None], row)[0, -1]
        self._position[slot], self._frame[slot] = end, made
        self._seed[slot], self._guidance[slot] = _signed(start.seed), start.guidance
        self._codec = self._codec.restart(torch.arange(self.slots, device=self._device) == slot)

    # -- frames ------------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def step(self, active: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The next frame of some slots: codes [n, books], shifted, and [n] whether all is finite. On the CPU."""
        rows = max(active) + 1
        taking_part = torch.zeros(rows, dtype=torch.bool)
        taking_part[list(active)] = True
        frames, finite = self._advance(rows, taking_part.to(self._device))
        index = torch.tensor(active, device=self._device)
        return frames[index].cpu(), finite[index].cpu()

    def _advance(self, rows: int, active: Tensor) -> tuple[Tensor, Tensor]:
        """One frame of slots 0 … rows − 1; those that are not `active` are computed, too, and stay where they are."""
        state, position, number = self._state[:rows], self._position[:rows], self._frame[:rows]
        heads = self.model.heads
        logits = heads.semantic_logits(state)
        logits[:, END].masked_fill_(number == 0, -math.inf)  # there is always something to say
        noise = normal(self._seed[:rows], number, heads.books).to(self._dtype)
        values = heads.sample(state, noise, self._guidance[:rows])
        finite = state.isfinite().all(-1) & values.isfinite().all(-1)
        # What is no number has no code either, and a code that does not exist would stop every stream.
        frames = frame_of(logits.argmax(-1), values.nan_to_num(), self.model.config.audio.acoustic_codebook_size)
        following = self.model.backbone(
            self.model.frame_embedding(frames)[:, None], position[:, None], self._cache.rows(0, rows, self.length)
        )[:, 0]
        self._state[:rows] = torch.where(active[:, None], following, state)
        self._position[:rows] = (position + active).clamp(max=self.length - 1)
        self._frame[:rows] = number + active
        return frames, finite

    # -- sound -------------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def decode(self, slots: Sequence[int], frames: Tensor) -> Tensor:
        """The next frames [n, T, books], shifted, of some slots → samples [n, T · frame], float32, on the CPU."""
        index = torch.tensor(slots, device=self._device)
        rows = self._codec.rows(index)
        samples, rows = self.model.decoder((frames.to(self._device) - SPECIALS).clamp(min=0), rows)
        self._codec.put(index, rows)
        sound: Tensor = samples.float().clamp(-1, 1).cpu()
        return sound


def _signed(seed: int) -> int:
    """64 bits as torch counts them."""
    return (seed & (1 << 64) - 1) - (1 << 64 if seed & 1 << 63 else 0)
