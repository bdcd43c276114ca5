"""What attention remembers: one latent for each token and layer, in slots that whoever runs the model hands out."""

from dataclasses import dataclass

import torch
from torch import Tensor

from llm_worker.model.config import Config


class LatentPool:
    """Latents of all layers and slots. Slots 0 to block_size - 1 are scratch: padding is written there, and what is
    read from there has no weight."""

    def __init__(
        self, config: Config, blocks: int, block_size: int, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        """`blocks` of `block_size` tokens each, the scratch block among them. Zeros, so that all of it is finite."""
        self.block_size = block_size
        self.latents: Tensor = torch.zeros(
            (config.n_layers, blocks * block_size, config.latent_dim), dtype=dtype, device=device
        )
        """[layers, slots, latent_dim]: the normed latent, then the rotated key that all heads share."""

    @property
    def slots(self) -> int:
        """Tokens that fit, those of the scratch block included."""
        return self.latents.shape[1]


@dataclass(frozen=True)
class Batch:
    """Tokens of B sequences, T of each at most, rows padded on the right.

    Padding has position 0 and is written to scratch. A row that is all padding has length 0.
    """

    ids: Tensor
    """[B, T] int64"""
    positions: Tensor
    """[B, T] int64: how many tokens of the sequence stand before each."""
    write: Tensor
    """[B, T] int64: the slot that each token's latent goes to."""
    read: Tensor
    """[B, L] int64: slots of each sequence's context, these tokens included, in order of position; padded with
    scratch. Key j of a row has position j."""
    lengths: Tensor
    """[B] int64: tokens of the context; `read[b, :lengths[b]]` is what counts."""

    def mask(self, dtype: torch.dtype) -> Tensor:
        """[B, T, L], to be added to scores: 0 where a query sees a key, one that exists and does not come after it,
        else -inf.

        Padding sees the first key of its row, so that its own result is finite.
        """
        places = torch.arange(self.read.shape[1], device=self.read.device)
        exists = places < self.lengths.clamp(min=1)[:, None]
        visible = exists[:, None, :] & (places <= self.positions[:, :, None])
        return torch.zeros((), dtype=dtype, device=places.device).where(visible, -torch.inf)
