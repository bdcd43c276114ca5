"""Steps, run as they are or recorded as CUDA graphs: one launch then replays some hundreds of kernels."""

import gc
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from tts_worker.model.network import Voxtral
from tts_worker.tuning import Shape

log = logging.getLogger(__name__)
_WARM_UP = 2


def compile_layers(model: Voxtral, backend: str = "inductor") -> None:
    """Let torch.compile fuse what lies between the products, once for all numbers of streams."""
    for layer in model.backbone.layers:
        layer.compile(dynamic=True, backend=backend)
    sample = torch.compile(model.heads.sample, dynamic=True, backend=backend)
    model.heads.sample = sample  # type: ignore[method-assign]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Memory must not be given back to the device during a recording. (`torch.cuda.graph` collects garbage before each
    one, which takes longer than the recording.)"""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Recorder:
    """Runs a step in the shapes that were recorded, and any other one as it is."""

    def __init__(self, step: Callable[[Shape], None]) -> None:
        """`step` reads and writes tensors that never move, and does not wait for the device."""
        self._step = step
        self._graphs: dict[Shape, torch.cuda.CUDAGraph] = {}

    def record(self, shapes: list[Shape]) -> None:
        """Record the step in each shape, the largest first: all share the memory of the first. Inside a lane whose
        stream is not the default one. What the steps compute on is changed by it."""
        began = time.monotonic()
        pool = torch.cuda.graph_pool_handle()
        with _no_collection():
            for shape in shapes:
                for _ in range(_WARM_UP):
                    self._step(shape)
                torch.cuda.current_stream().synchronize()
                graph = torch.cuda.CUDAGraph()
                graph.capture_begin(pool=pool)
                self._step(shape)
                graph.capture_end()
                self._graphs[shape] = graph
        log.info("steps recorded", extra={"shapes": len(shapes), "seconds": round(time.monotonic() - began, 1)})

    def run(self, shape: Shape) -> None:
        """One step."""
        graph = self._graphs.get(shape)
        if graph is None:
            self._step(shape)
        else:
            graph.replay()
