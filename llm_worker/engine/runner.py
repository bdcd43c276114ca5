"""Rows of the scheduler as tensors, and tensors as the tokens that come next. The engine's thread owns it.

A step is: copies of blocks, one batch of single tokens (absorbed), batches of prompts (absorbed while they are short,
expanded beyond), the output head, the draw. The device is waited for once, when the drawn tokens are fetched.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from llm_worker.engine.conversation import Copy
from llm_worker.engine.graphs import Buckets, DecodeSteps
from llm_worker.engine.scheduler import Plan, Row
from llm_worker.model.attention import Form
from llm_worker.model.cache import Batch, LatentPool
from llm_worker.model.config import Config
from llm_worker.model.network import Decoder

BROKEN = -1
"""In place of a token: the numbers that it was to be drawn from are not finite."""

LITTLE = 8
"""Tokens that are hardly slower together than one alone, where no shapes are prepared for single ones."""

Draw = Callable[[Tensor, Sequence[Row]], Tensor]
"""Logits [N, vocabulary], float32, of N rows → tokens [N] on the same device."""


class Runner:
    """A model and its cache."""

    def __init__(self, model: Decoder, pool: LatentPool, buckets: Buckets | None = None) -> None:
        """`buckets`: shapes that single tokens are padded to; None computes them as they come."""
        self.model, self.pool = model, pool
        self._device = model.embedding.weight.device
        self._few = worthwhile(model.config)
        self._steps = DecodeSteps(model, pool, buckets) if buckets else None

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Capture what can be captured. Waits for the device."""
        if self._steps:
            self._steps.capture()

    @torch.inference_mode()
    def step(self, plan: Plan, draw: Draw) -> list[int]:
        """Compute all rows of a plan. Returns the tokens drawn for those that want one, in order, or `BROKEN`."""
        self._copy(plan.copies)
        rows = plan.rows
        parts, order = [], []
        for group in groups(rows, 0 if self._steps else LITTLE):
            states = self._states([rows[index] for index in group])
            places = [place for place, index in enumerate(group) if rows[index].draw]
            if places:
                parts.append(states if len(places) == len(group) else states[places])
                order += [group[place] for place in places]
        if not parts:
            return []
        states = torch.cat(parts)
        if order != sorted(order):
            states = states[torch.tensor(order).argsort()]
        logits = self.model.logits(states)
        wanted = [row for row in rows if row.draw]
        drawn = draw(logits, wanted).masked_fill(~logits.isfinite().all(dim=-1), BROKEN)
        tokens: list[int] = drawn.tolist()
        if BROKEN in tokens:  # padding beside a broken row may have left its numbers where all read padding
            self.pool.latents[:, : self.pool.block_size].zero_()
        return tokens

    def _copy(self, copies: Sequence[Copy]) -> None:
        if copies:
            blocks = self.pool.latents.view(
                len(self.pool.latents), -1, self.pool.block_size, self.pool.latents.shape[-1]
            )
            sources = torch.tensor([copy.source for copy in copies], device=self._device)
            targets = torch.tensor([copy.target for copy in copies], device=self._device)
            blocks[:, targets] = blocks[:, sources]  # all are read before any is written

    def _states(self, rows: Sequence[Row]) -> Tensor:
        """[B, D] of each row's last token."""
        batch = self._batch(rows)
        longest = batch.ids.shape[1]
        if self._steps and (prepared := self._steps.run(batch)) is not None:
            return prepared
        form: Form = "absorbed" if longest <= self._few else "expanded"
        states: Tensor = self.model(batch, self.pool, form)
        if longest == 1:
            return states[:, 0]
        last = torch.tensor([len(row.ids) - 1 for row in rows], device=self._device)
        return states[torch.arange(len(rows), device=self._device), last]

    def _batch(self, rows: Sequence[Row]) -> Batch:
        arrays = (torch.from_numpy(array) for array in layout(rows, self.pool.block_size))
        if self._device.type == "cuda":
            arrays = (array.pin_memory().to(self._device, non_blocking=True) for array in arrays)
        return Batch(*arrays)


def layout(rows: Sequence[Row], block_size: int) -> tuple[npt.NDArray[np.int64], ...]:
    """`ids`, `positions`, `write`, `read` and `lengths` of a `Batch`."""
    tokens = max(len(row.ids) for row in rows)
    length = max(row.start + len(row.ids) for row in rows)
    ids, positions, write = (np.zeros((len(rows), tokens), np.int64) for _ in range(3))
    read = np.zeros((len(rows), length), np.int64)
    inside = np.arange(block_size)
    ends = np.zeros(len(rows), np.int64)
    for index, row in enumerate(rows):
        count = len(row.ids)
        end = ends[index] = row.start + count
        slots = (np.array(row.table)[:, None] * block_size + inside).ravel()[:end]
        ids[index, :count] = row.ids
        positions[index, :count] = np.arange(row.start, end)
        read[index, :end] = slots
        if row.write:
            write[index, :count] = slots[row.start :]
    return ids, positions, write, read, ends


def groups(rows: Sequence[Row], little: int = 0) -> list[list[int]]:
    """Indices of rows that are computed together: nowhere is more than half of a row padding, except where all rows
    with their padding are at most `little` tokens, which take no longer than a part of them."""
    order = sorted(range(len(rows)), key=lambda index: len(rows[index].ids))
    found: list[list[int]] = []
    for index in order:
        tokens = len(rows[index].ids)
        shortest = len(rows[found[-1][0]].ids) if found else 0
        alike = tokens == shortest or (shortest > 1 and tokens <= 2 * shortest)
        if found and (alike or (len(found[-1]) + 1) * tokens <= little):
            found[-1].append(index)
        else:
            found.append([index])
    return found


def worthwhile(config: Config) -> int:
    """Tokens of one row up to which the absorbed form takes fewer operations than the expanded one.

    For each key of a head: 2 (N + V) rank to expand it once, and then 2 (N + R + V) for each query in place of
    2 (2 rank + R).
    """
    rank, lanes = config.kv_lora_rank, config.qk_nope_head_dim + config.v_head_dim
    saved = 2 * rank - lanes
    return lanes * rank // saved if saved > 0 else 1 << 30
