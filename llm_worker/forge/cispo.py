"""CISPO, the objective of the reinforcement step (MiniMax-M1, arXiv 2506.13585, section 3.1). PURE.

Advantages are relative to the group, as in GRPO (DeepSeekMath, arXiv 2402.03300). The ratio of importance sampling is
clipped and then a constant: other than with PPO's clipping no token drops out of the gradient, so the rare ones at
which an answer takes another way keep learning. Every generated token counts alike, in short answers and long ones.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

_SAME = 1e-6
"""Rewards of a group that differ by less tell nothing."""


def advantages(rewards: Sequence[float]) -> list[float] | None:
    """How much better than its group each attempt was, in standard deviations; None where all were alike."""
    values = torch.tensor(rewards, dtype=torch.float64)
    spread = values.std(correction=0)
    if spread < _SAME:
        return None
    relative: list[float] = ((values - values.mean()) / spread).tolist()
    return relative


def objective(new: Tensor, old: Tensor, advantage: Tensor, low: float, high: float) -> Tensor:
    """What is to be maximised, summed over tokens, from log-probabilities [N] now and when they were drawn and the
    advantages [N] of their attempts. The ratio of probabilities is kept within [1 − low, 1 + high]."""
    ratio = (new.detach() - old).exp().clamp(1 - low, 1 + high)
    return (ratio * advantage * new).sum()


def divergence(new: Tensor, start: Tensor) -> Tensor:
    """Estimate of KL(now ‖ start), summed over tokens [N] that were drawn: never negative, unbiased (arXiv 2402.03300,
    equation 4)."""
    apart = start - new
    return (apart.exp() - apart - 1).sum()
