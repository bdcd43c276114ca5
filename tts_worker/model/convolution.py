"""Causal convolutions of the codec that can be fed piece by piece: the pieces give exactly what the whole gives.

State is a value that the caller keeps. A stream's first piece is recognised by `begun` [B]: False rows have no past,
and are padded as the family does it. Both kinds are products of a matrix with windows of the input: pieces are a few
positions long, for which that is faster than a library's convolution.
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


def _length(kernel: Tensor) -> Tensor:
    return kernel.float().flatten(1).norm(dim=1).to(kernel.dtype)[:, None, None]


class _Windowed(nn.Module):
    """A matrix over windows of the last inputs."""

    past: int
    """Inputs that the next piece needs of this one."""

    def __init__(self, kernel: Weight, inputs: int) -> None:
        super().__init__()
        self.kernel = kernel
        self._inputs = inputs
        self._folded: nn.Linear | None = None

    def fold(self) -> None:
        """Multiply out, once and for all: for models that are not trained any further. The kernel is given up."""
        matrix = self.matrix().detach()
        self._folded = nn.Linear(matrix.shape[1], matrix.shape[0], bias=False, device="meta")
        self._folded.weight = nn.Parameter(matrix, requires_grad=False)
        del self.kernel

    def matrix(self) -> Tensor:
        """[rows, window · inputs], earlier inputs first."""
        raise NotImplementedError

    def fresh(self, batch: int, like: Tensor) -> Tensor:
        """State before a stream's first piece: [B, past, inputs]."""
        return like.new_zeros(batch, self.past, self._inputs)

    def _product(self, whole: Tensor, window: int, stride: int) -> Tensor:
        """[B, T, inputs] → [B, windows, rows]."""
        windows = whole.unfold(1, window, stride).transpose(2, 3).flatten(2)
        return functional.linear(windows, self.matrix()) if self._folded is None else self._folded(windows)


class CausalConv(_Windowed):
    """Of stride 1 or 2; an output sees its own inputs and those before."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, padding: Padding, normed: bool) -> None:
        super().__init__(Weight((outputs, inputs, kernel), normed), inputs)
        self._window, self._stride, self._padding = kernel, stride, padding
        self.past = kernel - stride

    def matrix(self) -> Tensor:
        """[outputs, kernel · inputs]"""
        return self.kernel().transpose(1, 2).flatten(1)

    def forward(self, x: Tensor, past: Tensor, begun: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, T, inputs], T a multiple of the stride → [B, T / stride, outputs], and the next state."""
        past = torch.where(begun[:, None, None], past, self._padded(x))
        whole = torch.cat((past, x), dim=1)
        return self._product(whole, self._window, self._stride), whole[:, whole.shape[1] - self.past :]

    def _padded(self, x: Tensor) -> Tensor:
        """What comes before a stream."""
        if self._padding == "replicate":
            return x[:, :1].expand(-1, self.past, -1)
        # An input no longer than the padding is extended with zeros first.
        short = max(0, self.past + 1 - x.shape[1])
        return functional.pad(x, (0, 0, 0, short))[:, 1 : self.past + 1].flip(1)


class CausalUpConv(_Windowed):
    """Transposed: `stride` outputs for each input, which see it and `kernel / stride` − 1 inputs before."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, normed: bool) -> None:
        super().__init__(Weight((inputs, outputs, kernel), normed), inputs)
        self._outputs, self._stride = outputs, stride
        self.past = -(-kernel // stride) - 1

    def matrix(self) -> Tensor:
        """[stride · outputs, (1 + past) · inputs]: an input adds the kernel's first `stride` taps at its own place, and
        the following ones where later inputs are."""
        kernel = self.kernel()  # [inputs, outputs, taps]
        taps = functional.pad(kernel, (0, (1 + self.past) * self._stride - kernel.shape[2]))
        return taps.unflatten(2, (-1, self._stride)).flip(2).permute(3, 1, 2, 0).flatten(2).flatten(0, 1)

    def forward(self, x: Tensor, past: Tensor, begun: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, T, inputs] → [B, T · stride, outputs], and the next state. Before a stream there is silence."""
        whole = torch.cat((torch.where(begun[:, None, None], past, 0), x), dim=1)
        out = self._product(whole, 1 + self.past, 1).unflatten(2, (-1, self._outputs)).flatten(1, 2)
        return out, whole[:, whole.shape[1] - self.past :]
