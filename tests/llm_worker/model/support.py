"""A small model with random weights, and ways to run sequences through it."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from llm_worker.model.attention import Form
from llm_worker.model.cache import Batch, LatentPool
from llm_worker.model.checkpoint import load
from llm_worker.model.config import Config, shipped_config
from llm_worker.model.names import entries
from llm_worker.model.network import Decoder, build, randomise

NANO = shipped_config("nano")
BLOCK = 16


def model(seed: int = 1, config: Config = NANO) -> Decoder:
    """Float32, on the CPU."""
    made = build(config, torch.float32, "cpu")
    randomise(made, seed)
    return made


def tokens(length: int, rows: int = 1, seed: int = 0, config: Config = NANO) -> Tensor:
    """Random ids [rows, length]."""
    return torch.randint(config.vocab_size, (rows, length), generator=torch.Generator().manual_seed(seed))


def pool_for(
    rows: int, length: int, config: Config = NANO, dtype: torch.dtype = torch.float32
) -> tuple[LatentPool, Tensor]:
    """A pool, and slots [rows, length] of it in no order, none of them scratch."""
    blocks = 1 + -(-rows * length // BLOCK)
    pool = LatentPool(config, blocks, BLOCK, dtype, "cpu")
    free = torch.randperm(pool.slots - BLOCK, generator=torch.Generator().manual_seed(5)) + BLOCK
    return pool, free[: rows * length].view(rows, length)


def run(of: Decoder, ids: Tensor, cuts: Sequence[int], form: Form) -> Tensor:
    """States [B, T, D] of sequences [B, T] that are run in pieces which end at `cuts`."""
    pool, slots = pool_for(len(ids), ids.shape[1], of.config, of.head.dtype)
    pieces, start = [], 0
    for end in cuts:
        positions = torch.arange(start, end).expand(len(ids), -1)
        lengths = torch.full((len(ids),), end)
        pieces.append(of(Batch(ids[:, start:end], positions, slots[:, start:end], slots[:, :end], lengths), pool, form))
        start = end
    return torch.cat(pieces, dim=1)


def native(of: Decoder) -> dict[str, Tensor]:
    """Copies of the weights by their native names."""
    state = of.state_dict()
    made = {}
    for entry in entries(of.config):
        whole = state[entry.ours]
        rows = whole if entry.expert is None else whole[entry.expert]
        made[entry.published] = rows[entry.first_row : entry.first_row + entry.shape[0]].clone()
    return made


def loaded(path: Path, config: Config = NANO) -> Decoder:
    """A file or folder, in float32 on the CPU."""
    return load(path, config, torch.float32, "cpu")


def same(one: Decoder, other: Decoder) -> bool:
    """Whether all weights are equal."""
    state = other.state_dict()
    return all(torch.equal(tensor, state[name]) for name, tensor in one.state_dict().items())
