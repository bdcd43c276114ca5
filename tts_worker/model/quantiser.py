"""Codes ↔ the latent between encoder and decoder: one vector of a table, and values on a grid."""

import torch
from torch import Tensor, nn

from tts_worker.model.codec_config import Codec
from tts_worker.model.frames import dequantised

_LEAST_USAGE = 1e-5


class Quantiser(nn.Module):
    """The semantic table is kept as the running averages from which training made it."""

    embedding_sum: Tensor
    cluster_usage: Tensor

    def __init__(self, config: Codec) -> None:
        super().__init__()
        self.semantic_dim = config.semantic_dim
        self.levels = config.acoustic_codebook_size
        self.register_buffer("embedding_sum", torch.zeros(config.semantic_codebook_size, config.semantic_dim))
        self.register_buffer("cluster_usage", torch.ones(config.semantic_codebook_size))

    def table(self) -> Tensor:
        """[entries, semantic_dim], float32."""
        return self.embedding_sum.float() / self.cluster_usage.float().clamp(min=_LEAST_USAGE)[:, None]

    def decode(self, codes: Tensor, table: Tensor) -> Tensor:
        """Codes without their shift [B, T, books] → latent [B, T, latent], float32; semantic channels first."""
        return torch.cat((table[codes[..., 0]], dequantised(codes[..., 1:], self.levels)), dim=-1)

    def encode(self, latent: Tensor) -> Tensor:
        """Latent [B, T, latent] → codes without shift [B, T, books]: nearest vector, nearest level of tanh."""
        wide = latent.float()
        semantic, acoustic = wide[..., : self.semantic_dim], wide[..., self.semantic_dim :]
        nearest = torch.cdist(semantic, self.table().expand(len(semantic), -1, -1)).argmin(-1)
        grid = ((acoustic.tanh() + 1) / 2 * (self.levels - 1)).round().long()
        return torch.cat((nearest[..., None], grid), dim=-1)
