"""Crops of the corpus. Which ones a step gets follows from seed and step alone, so that training can go on anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tts_worker.forge.phones import sounding
from tts_worker.forge.store import Clip, floats

_LOUDER = 6.0
"""dB by which crops are louder or softer at most."""


@dataclass(frozen=True)
class Batch:
    """What a step learns from."""

    samples: Tensor
    """[B, frames · frame]"""
    sounds: Tensor
    """[B, frames, slots] Number of the sound heard in each part of a frame, −1 where nobody knows."""


class Crops:
    """Batches from clips that stay on the disk. Longer clips are drawn more often."""

    def __init__(self, clips: Sequence[Clip], phones: str, seed: int, frame: int, slots: int) -> None:
        self._clips, self._seed, self._frame, self._slots = clips, seed, frame, slots
        self._number = {phone: number for number, phone in enumerate(phones)}
        lengths = np.array([clip.line.length for clip in clips], np.float64)
        self._until = np.cumsum(lengths / lengths.sum())

    def batch(self, step: int, size: int, frames: int) -> Batch:
        """Of step `step`."""
        random = np.random.default_rng([self._seed, step])
        parts = [self._crop(random, frames) for _ in range(size)]
        samples, sounds = (torch.from_numpy(np.stack(column)) for column in zip(*parts, strict=True))
        return Batch(samples, sounds)

    def _crop(self, random: np.random.Generator, frames: int) -> tuple[np.ndarray, np.ndarray]:
        clip = self._clips[min(int(np.searchsorted(self._until, random.random())), len(self._clips) - 1)]
        length, slot = frames * self._frame, self._frame // self._slots
        # From a frame before the clip to a frame after it; what is shorter begins or ends in silence.
        spare = clip.line.length - length
        start = int(random.integers(min(0, spare) - self._frame, max(0, spare) + self._frame + 1))
        first, end = max(0, start), min(clip.line.length, start + length)
        gain = 10 ** (random.uniform(-_LOUDER, _LOUDER) / 20)
        samples = np.zeros(length, np.float32)
        samples[first - start : end - start] = np.clip(floats(clip.pcm[first:end]) * gain, -1, 1)
        if not clip.line.phones:
            return samples, np.full((frames, self._slots), -1)
        classes = np.array([self._number[phone] for phone in clip.line.phones])
        sounds = sounding(classes, np.array(clip.line.ends), start, frames * self._slots, slot)
        return samples, sounds.reshape(frames, self._slots)
