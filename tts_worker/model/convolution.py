"""Causal convolutions of the codec that can be fed piece by piece: the pieces give exactly what the whole gives.

State is a value that the caller keeps. A stream's first piece is recognised by `begun` [B]: False rows have no past,
and are padded as the family does it.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Padding = Literal["replicate", "reflect"]


class Weight(nn.Module):
    """A kernel, weight-normed over all dimensions but the first where the configuration says so: g · v / ‖v‖."""

    def __init__(self, shape: tuple[int, int, int], normed: bool) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.empty(shape))
        nn.init.kaiming_uniform_(self.direction, a=5**0.5)
        self.gain = nn.Parameter(_length(self.direction.detach())) if normed else None

    def forward(self) -> Tensor:
        """The kernel, in the parameters' type."""
        if self.gain is None:
            return self.direction
        return self.gain * self.direction / _length(self.direction)

    def fold(self) -> None:
        """Multiply out, once and for all: for models that are not trained any further."""
        if self.gain is not None:
            self.direction = nn.Parameter(self().detach(), requires_grad=False)
            self.gain = None


def _length(kernel: Tensor) -> Tensor:
    return kernel.float().flatten(1).norm(dim=1).to(kernel.dtype)[:, None, None]


class CausalConv(nn.Module):
    """Of stride 1 or 2; an output sees its own inputs and those before."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, padding: Padding, normed: bool) -> None:
        super().__init__()
        self.kernel = Weight((outputs, inputs, kernel), normed)
        self._inputs, self._stride, self._padding = inputs, stride, padding
        self.past = kernel - stride
        """Inputs that the next piece needs of this one."""

    def fresh(self, batch: int, like: Tensor) -> Tensor:
        """State before a stream's first piece: [B, inputs, past]."""
        return like.new_zeros(batch, self._inputs, self.past)

    def forward(self, x: Tensor, past: Tensor, begun: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, inputs, T], T a multiple of the stride → [B, outputs, T / stride], and the next state."""
        past = torch.where(begun[:, None, None], past, self._padded(x))
        whole = torch.cat((past, x), dim=2)
        return functional.conv1d(whole, self.kernel(), stride=self._stride), whole[:, :, whole.shape[2] - self.past :]

    def _padded(self, x: Tensor) -> Tensor:
        """What comes before a stream."""
        if self._padding == "replicate":
            return x[:, :, :1].expand(-1, -1, self.past)
        # An input no longer than the padding is extended with zeros first.
        short = max(0, self.past + 1 - x.shape[2])
        return functional.pad(x, (0, short))[:, :, 1 : self.past + 1].flip(2)


class CausalUpConv(nn.Module):
    """Transposed: `stride` outputs for each input, which see it and `kernel / stride` − 1 inputs before."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, normed: bool) -> None:
        super().__init__()
        self.kernel = Weight((inputs, outputs, kernel), normed)
        self._inputs, self._stride = inputs, stride
        self.past = -(-kernel // stride) - 1

    def fresh(self, batch: int, like: Tensor) -> Tensor:
        """State before a stream's first piece: [B, inputs, past]."""
        return like.new_zeros(batch, self._inputs, self.past)

    def forward(self, x: Tensor, past: Tensor, begun: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, inputs, T] → [B, outputs, T · stride], and the next state. Before a stream there is silence."""
        whole = torch.cat((torch.where(begun[:, None, None], past, 0), x), dim=2)
        full = functional.conv_transpose1d(whole, self.kernel(), stride=self._stride)
        first = self.past * self._stride  # the full output ends with what only later inputs complete
        out = full[:, :, first : first + x.shape[2] * self._stride]
        return out, whole[:, :, whole.shape[2] - self.past :]
