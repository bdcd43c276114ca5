"""Processes that train together: each computes a share, and what they find is added up."""

import os
import signal
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor, distributed
from torch.multiprocessing.spawn import start_processes

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Team:
    """One process of several."""

    rank: int
    size: int

    @property
    def leads(self) -> bool:
        """Whether it is this one that writes and speaks."""
        return self.rank == 0

    def share(self, work: Sequence[T]) -> Sequence[T]:
        """What of it this process does."""
        return work[self.rank :: self.size]

    def add(self, values: Tensor) -> None:
        """Sum over the team, in place. All of it must call this alike."""
        if self.size > 1:
            distributed.all_reduce(values)


ALONE = Team(0, 1)


def together(size: int, work: Callable[..., None], *arguments: Any) -> None:
    """Call `work(team, *arguments)` in so many processes of this machine. Raises what it raises, of several a
    ProcessRaisedException with its text."""
    if size == 1:
        work(ALONE, *arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{folder}/meeting"
        start_processes(_one, (size, meeting, work, arguments), nprocs=size, start_method="spawn")  # type: ignore[no-untyped-call]


def _one(rank: int, size: int, meeting: str, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    # The library interrupts processes whose parent was killed; one started in the background would not mind.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Found under the machine's name, its address may be one that no process can reach.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=size)
    try:
        work(Team(rank, size), *arguments)
    finally:
        distributed.destroy_process_group()
