"""Work for a device in order, beside that of other lanes, and copies that nobody has to wait for.

On a GPU a lane is a CUDA stream. On a processor all work is done when the call returns.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_cuda: Any = torch.cuda  # not all of it is annotated


class Download:
    """Tensors on their way to the host."""

    def __init__(self, tensors: tuple[Tensor, ...], event: Any) -> None:
        self._tensors, self._event = tensors, event

    @property
    def ready(self) -> bool:
        """Whether `take` would return at once."""
        return self._event is None or bool(self._event.query())

    def take(self) -> list[npt.NDArray[np.generic]]:
        """The values; waits for them."""
        if self._event is not None:
            self._event.synchronize()
        return [tensor.numpy() for tensor in self._tensors]


class Lane:
    """`urgent` work passes that of other lanes where both wait for the device."""

    def __init__(self, device: torch.device, urgent: bool) -> None:
        self._device = device
        self._stream = _cuda.Stream(device, priority=-1 if urgent else 0) if device.type == "cuda" else None

    @contextmanager
    def work(self) -> Iterator[None]:
        """What is called inside is done in this lane, without gradients."""
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            yield

    def upload(self, values: Tensor) -> Tensor:
        """Values of the host on the device. Inside `work`."""
        if self._stream is None:
            return values
        return values.pin_memory().to(self._device, non_blocking=True)

    def download(self, *tensors: Tensor) -> Download:
        """Copies for the host, begun when the lane's work so far is done. Inside `work`."""
        if self._stream is None:
            return Download(tuple(tensor.clone() for tensor in tensors), None)
        copies = tuple(torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in tensors)
        for copy, tensor in zip(copies, tensors, strict=True):
            copy.copy_(tensor, non_blocking=True)
        event = _cuda.Event(blocking=True)  # who waits for it leaves the processor to others
        event.record(self._stream)
        return Download(copies, event)
