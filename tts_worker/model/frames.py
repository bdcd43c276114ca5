"""Frames of codes: one semantic and many acoustic ones, each shifted by the two specials of its codebook."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tts_worker.model.config import EMPTY, END, SPECIALS, AudioModel


class FrameEmbedding(nn.Module):
    """All codebooks in one table; a frame is the plain sum of its codes' rows."""

    offsets: Tensor

    def __init__(self, audio: AudioModel, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(audio.embedding_rows, dim))
        self._places = audio.offsets
        self.register_buffer("offsets", torch.tensor(audio.offsets), persistent=False)

    def reset(self) -> None:
        """See `Rotary.reset`."""
        if not self.offsets.is_meta:
            self.offsets.copy_(torch.tensor(self._places))

    def forward(self, codes: Tensor) -> Tensor:
        """Shifted codes [..., books] → [..., D]."""
        return functional.embedding(codes + self.offsets, self.weight).sum(-2)


def quantised(x: Tensor, levels: int) -> Tensor:
    """Acoustic values [..., books], of which −1 to 1 counts, → codes 0 … levels − 1 (ties to even)."""
    return ((x.clamp(-1, 1) + 1) / 2 * (levels - 1)).round().long()


def dequantised(codes: Tensor, levels: int) -> Tensor:
    """Codes 0 … levels − 1 → values −1 to 1."""
    return 2 * codes.float() / (levels - 1) - 1


def frame_of(semantic: Tensor, acoustic: Tensor, levels: int) -> Tensor:
    """Shifted semantic codes [B] and the flow's values [B, books] → frames [B, 1 + books]. After END there is no
    sound: its acoustic codes are the lowest."""
    codes = torch.where(semantic[:, None] == END, 0, quantised(acoustic, levels)) + SPECIALS
    return torch.cat((semantic[:, None], codes), dim=1)


def end_frame(books: int) -> Tensor:
    """[books] What follows the last frame of reference audio, shifted: END, and nothing."""
    return torch.tensor([END] + [EMPTY] * (books - 1))
