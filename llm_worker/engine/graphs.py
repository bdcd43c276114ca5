"""Steps of one token a row in a few fixed shapes, so that a GPU can replay them instead of being told each kernel.

Where there is no GPU the same shapes are computed directly.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from llm_worker.model.cache import Batch, LatentPool
from llm_worker.model.network import Decoder

_WARM_UP = 2
"""Runs before a capture: libraries choose their kernels and take their memory in them."""


@dataclass(frozen=True)
class Buckets:
    """Shapes, ascending."""

    rows: tuple[int, ...]
    lengths: tuple[int, ...]
    """Tokens of context."""
    most: int = 1 << 62
    """Tokens of context of all rows of a shape: larger ones would take memory for what seldom comes."""

    @classmethod
    def up_to(cls, rows: int, length: int, cache: int) -> "Buckets":
        """Powers of two of rows, powers of four of context from 512 on; no more in a shape than four times what the
        cache holds, since rows are padded to the longest."""
        return cls(tuple(_steps(1, 2, rows)), tuple(_steps(512, 4, length)), 4 * cache)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """All of them, the largest first."""
        return [(rows, length) for rows in self.rows[::-1] for length in self.lengths[::-1] if self._held(rows, length)]

    def fitting(self, rows: int, length: int) -> tuple[int, int] | None:
        """The smallest shape that holds a batch, if there is one."""
        if rows > self.rows[-1] or length > self.lengths[-1]:
            return None
        shape = self.rows[bisect_left(self.rows, rows)], self.lengths[bisect_left(self.lengths, length)]
        return shape if self._held(*shape) else None

    def _held(self, rows: int, length: int) -> bool:
        return rows * length <= self.most


class DecodeSteps:
    """One `DecodeStep` for each shape."""

    def __init__(self, model: Decoder, pool: LatentPool, buckets: Buckets) -> None:
        self._model, self._pool, self._buckets = model, pool, buckets
        self._steps: dict[tuple[int, int], DecodeStep] = {}

    def capture(self) -> None:
        """Capture every shape, the largest first: the others fit into the memory that it took. Nothing on a CPU."""
        if self._pool.latents.is_cuda:
            memory = torch.cuda.graph_pool_handle()
            for shape in self._buckets.shapes:
                self._step(shape).capture(memory)

    def run(self, batch: Batch) -> Tensor | None:
        """States [B, D] of a batch with one token a row, valid until the next run; None where no shape holds it."""
        rows, length = batch.read.shape
        shape = self._buckets.fitting(rows, length) if batch.ids.shape[1] == 1 else None
        return self._step(shape).run(batch) if shape else None

    def _step(self, shape: tuple[int, int]) -> "DecodeStep":
        if shape not in self._steps:
            self._steps[shape] = DecodeStep(self._model, self._pool, *shape)
        return self._steps[shape]


class DecodeStep:
    """One shape: tensors that stay where they are, and the graph that reads them."""

    def __init__(self, model: Decoder, pool: LatentPool, rows: int, length: int) -> None:
        self._model, self._pool = model, pool
        device = pool.latents.device
        one, long = (torch.zeros((rows, width), dtype=torch.int64, device=device) for width in (1, length))
        self._batch = Batch(one, one.clone(), one.clone(), long, torch.zeros_like(one[:, 0]))
        self._graph: torch.cuda.CUDAGraph | None = None
        self._states: Tensor | None = None

    def capture(self, memory: Any) -> None:
        """Record the step. `memory`: `torch.cuda.graph_pool_handle()`, shared by all shapes."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                self._compute()
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=memory):
            self._states = self._compute()

    def run(self, batch: Batch) -> Tensor:
        """States [B, D] of a batch that is no larger than the shape."""
        rows, length = batch.read.shape
        held = self._batch
        for own, given in ((held.ids, batch.ids), (held.positions, batch.positions), (held.write, batch.write)):
            own[:rows].copy_(given)
            own[rows:].zero_()
        held.read[:rows, :length].copy_(batch.read)
        held.read[:rows, length:].zero_()
        held.read[rows:].zero_()
        held.lengths[:rows].copy_(batch.lengths)
        held.lengths[rows:].zero_()
        if self._graph:
            self._graph.replay()
        else:
            self._states = self._compute()
        assert self._states is not None
        return self._states[:rows]

    def _compute(self) -> Tensor:
        states: Tensor = self._model(self._batch, self._pool, "absorbed")
        return states[:, 0]


def _steps(first: int, factor: int, last: int) -> Iterator[int]:
    while first < last:
        yield first
        first *= factor
    yield last
