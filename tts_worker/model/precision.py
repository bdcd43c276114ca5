"""Weights in the order in which a processor's matrix kernels read them, in 32 or 16 bits."""

from typing import Literal

import torch
from torch import Tensor, nn

from tts_worker.model.network import Voxtral

Precision = Literal["float32", "bfloat16"]

_ROWS = 8
"""The number of rows for which the order is chosen: a stream or two, three tokens each, twice for guidance."""
_LEAST = 1 << 16
"""Smaller matrices stay as they are: a call of oneDNN costs 10 µs more than one of BLAS."""


class _Packed(nn.Module):
    """A matrix product with oneDNN's own order of the weights.

    The usual product reads the weights again for each few rows of inputs; packed ones are read once for all rows. These
    are the operators that torch.compile chooses for frozen weights.
    """

    def __init__(self, weight: Tensor, precision: Precision) -> None:
        super().__init__()
        self._type = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().to(self._type), _ROWS)

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] → [..., outputs], float32; sums are float32 in every precision."""
        out: Tensor = torch.ops.mkldnn._linear_pointwise.default(x.to(self._type), self._weight, None, "none", [], "")
        return out.float()


def apply(model: Voxtral, precision: Precision) -> None:
    """Give the matrices of a float32 model on the processor the order in which they are read fastest. It can be neither
    trained nor exported any further; tables that are computed once (`Heads.fold`, `Decoder.fold`) come before.

    float32: the same products in another order. bfloat16: weights and inputs of each product are rounded to 8 bits,
    which halves what is read, and pays where the processor has instructions for it (avx512_bf16, amx_bf16). Without
    oneDNN nothing changes.
    """
    if not torch.backends.mkldnn.is_available():
        return
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Linear and child.weight.numel() >= _LEAST:
                setattr(module, name, _Packed(child.weight, precision))
