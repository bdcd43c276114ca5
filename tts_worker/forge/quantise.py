"""Quantisation that gradients pass, and a table that follows what it is asked to stand for.

As the family trains: the table for half of the samples; values on their grid, disturbed, or as they are for half, a
quarter and a quarter. A decoder that has seen all of them can be fed by a flow that lands between the levels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tts_worker.model.frames import dequantised, quantised
from tts_worker.model.quantiser import Quantiser

_GRID, _NOISE = 0.5, 0.25
_ROOM = 1.5
"""Where the slope of tanh is a fifth: what lies farther out hardly learns any more, and uses the outermost levels."""


@dataclass(frozen=True)
class Treatment:
    """What is done to each sample of a batch: [B] each."""

    tabled: Tensor
    gridded: Tensor
    disturbed: Tensor

    @staticmethod
    def drawn(random: np.random.Generator, batch: int) -> "Treatment":
        """Independent for each sample."""
        tabled, grid = random.random(batch) < 0.5, random.random(batch)
        return Treatment(*map(torch.from_numpy, (tabled, grid < _GRID, (grid >= _GRID) & (grid < _GRID + _NOISE))))

    @staticmethod
    def full(batch: int) -> "Treatment":
        """Everything quantised, as in use."""
        every = torch.ones(batch, dtype=torch.bool)
        return Treatment(every, every, ~every)

    def to(self, device: torch.device) -> "Treatment":
        """On another device."""
        return Treatment(self.tabled.to(device), self.gridded.to(device), self.disturbed.to(device))


@dataclass(frozen=True)
class Quantised:
    """What the decoder gets, and what training needs besides."""

    latent: Tensor
    """[B, T, latent]"""
    semantic: Tensor
    """[B, T, semantic_dim] The part of it that the table made, where it did."""
    commitment: Tensor
    """Mean square distance between vectors and their entries."""
    excess: Tensor
    """Mean square of how far acoustic values, before tanh, lie beyond where there is room to learn."""
    vectors: Tensor
    """[B · T, semantic_dim] As the encoder gave them, without gradient."""
    nearest: Tensor
    """[B · T] Their entries."""


def quantise(quantiser: Quantiser, latent: Tensor, treatment: Treatment, noise: Tensor) -> Quantised:
    """`latent` [B, T, latent] from the encoder, `noise` [B, T, acoustic_dim] from −1 to 1."""
    wide = latent.float()
    semantic, free = wide[..., : quantiser.semantic_dim], wide[..., quantiser.semantic_dim :]
    acoustic = free.tanh()
    excess = functional.relu(free.abs() - _ROOM).square().mean()
    table = quantiser.table()
    vectors = semantic.detach().flatten(0, 1)
    nearest = torch.cdist(vectors, table).argmin(-1)
    entries = table[nearest].view_as(semantic)
    commitment = functional.mse_loss(semantic, entries)
    passed = torch.where(treatment.tabled[:, None, None], _straight(semantic, entries), semantic)
    levels = quantiser.levels
    grid = _straight(acoustic, dequantised(quantised(acoustic.detach(), levels), levels))
    moved = torch.where(treatment.disturbed[:, None, None], acoustic + noise / levels, acoustic)
    values = torch.where(treatment.gridded[:, None, None], grid, moved)
    return Quantised(torch.cat((passed, values), dim=-1), passed, commitment, excess, vectors, nearest)


def _straight(x: Tensor, instead: Tensor) -> Tensor:
    """The value of `instead`, the gradient of `x`."""
    return x + (instead - x).detach()


def forget(quantiser: Quantiser) -> None:
    """Nothing is known yet: every entry is dead and takes a vector of the first batch."""
    quantiser.embedding_sum.zero_()
    quantiser.cluster_usage.zero_()


def follow(
    quantiser: Quantiser, vectors: Tensor, nearest: Tensor, decay: float, least: float, random: np.random.Generator
) -> int:
    """Move the table's running averages towards the vectors [N, D] that chose each entry [N]. Entries used less than
    `least` of an even share begin anew at random vectors. Returns how many did."""
    entries = len(quantiser.cluster_usage)
    counts = torch.bincount(nearest, minlength=entries).float()
    sums = torch.zeros_like(quantiser.embedding_sum).index_add_(0, nearest, vectors)
    quantiser.cluster_usage.lerp_(counts, 1 - decay)
    quantiser.embedding_sum.lerp_(sums, 1 - decay)
    share = len(vectors) / entries
    dead = quantiser.cluster_usage < least * share
    drawn = torch.from_numpy(random.integers(len(vectors), size=entries)).to(vectors.device)
    quantiser.embedding_sum.copy_(torch.where(dead[:, None], vectors[drawn] * share, quantiser.embedding_sum))
    quantiser.cluster_usage.masked_fill_(dead, share)
    return int(dead.sum())
