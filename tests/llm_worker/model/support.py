"""A small model with random weights, and ways to run sequences through it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from llm_worker.model.attention import Form
from llm_worker.model.cache import Batch, LatentPool
from llm_worker.model.config import Config, shipped_config
from llm_worker.model.network import Decoder, build, randomise

NANO = shipped_config("nano")
BLOCK = 16


def model(seed: int = 1, config: Config = NANO) -> Decoder:
    """Float32, on the CPU; weights large enough that no softmax is flat."""
    made = build(config, torch.float32, "cpu")
    randomise(made, seed, scale=1.5)
    return made


def tokens(length: int, rows: int = 1, seed: int = 0, config: Config = NANO) -> Tensor:
    """Random ids [rows, length]."""
    return torch.randint(config.vocab_size, (rows, length), generator=torch.Generator().manual_seed(seed))


def pool_for(rows: int, length: int, config: Config = NANO) -> tuple[LatentPool, Tensor]:
    """A pool, and slots [rows, length] of it in no order, none of them scratch."""
    blocks = 1 + -(-rows * length // BLOCK)
    pool = LatentPool(config, blocks, BLOCK, torch.float32, "cpu")
    free = torch.randperm(pool.slots - BLOCK, generator=torch.Generator().manual_seed(5)) + BLOCK
    return pool, free[: rows * length].view(rows, length)


def run(
    of: Decoder, ids: Tensor, cuts: Sequence[int], form: Form, slots: Tensor | None = None, offset: int = 0
) -> Tensor:
    """States [B, T, D] of sequences [B, T] that are run in pieces which end at `cuts`; positions begin at `offset`,
    before which a context of token 0 has been run."""
    rows, length = ids.shape
    before = torch.zeros((rows, offset), dtype=torch.long)
    everything = torch.cat((before, ids), dim=1)
    pool, fresh = pool_for(rows, offset + length, of.config)
    slots = fresh if slots is None else slots
    ends = [*([offset] if offset else []), *(offset + cut for cut in cuts)]
    pieces, start = [], 0
    for end in ends:
        positions = torch.arange(start, end).expand(rows, -1)
        lengths = torch.full((rows,), end)
        piece = Batch(everything[:, start:end], positions, slots[:, start:end], slots[:, :end], lengths)
        pieces.append(of(piece, pool, form))
        start = end
    return torch.cat(pieces, dim=1)[:, offset:]
