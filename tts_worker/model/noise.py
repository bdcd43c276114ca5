"""Noise by counter: what a stream draws depends on its seed and its frame, not on its neighbours, and not on the past.

A hash (the finaliser of SplitMix64, Steele et al. 2014) of seed, frame and place gives uniform numbers, Box-Muller
normal ones. It runs where the model runs, inside a captured graph too, and to resume costs nothing.
"""

import math

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_FIRST, _SECOND = 0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64)
_BITS = 24


def normal(seeds: Tensor, frames: Tensor, size: int) -> Tensor:
    """Standard normal numbers [B, size], float32, for seeds [B] and frame numbers [B], both int64."""
    places = torch.arange(size, device=seeds.device)
    stream = _mixed(seeds * _GOLDEN + 1)[:, None]
    counter = (frames[:, None] * size + places) * 2
    radius = torch.sqrt(-2 * torch.log(_uniform(_mixed(stream + counter * _GOLDEN))))
    return radius * torch.cos(2 * math.pi * _uniform(_mixed(stream + (counter + 1) * _GOLDEN)))


def _mixed(x: Tensor) -> Tensor:
    """64 bits → 64 bits, every one of which depends on all. Multiplication wraps around."""
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """To the right, filled with zeros: the operator keeps the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _uniform(x: Tensor) -> Tensor:
    """The upper bits as numbers between 0 and 1, both excluded."""
    return (_shifted(x, 64 - _BITS).float() + 0.5) / (1 << _BITS)
