"""Loading a checkpoint needs its own size of memory, not twice that; and what slots take is given back."""

import gc
import json
import subprocess
import sys
import weakref
from importlib import resources
from pathlib import Path

import pytest
import torch

from tests.tts_worker.model.support import model
from tts_worker.model.checkpoint import export
from tts_worker.model.config import load_config
from tts_worker.model.network import build
from tts_worker.runner import Runner

LAYERS = 60
"""So many of `micro`'s are a file of about 200 MB."""

LOADING = """
import re, sys, torch
from pathlib import Path
from tts_worker.model import checkpoint
from tts_worker.model.config import load_config

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1))

folder = Path(sys.argv[1])
config = load_config(folder / "params.json")
checkpoint.build(config, 64, False, torch.bfloat16, "meta")  # imports more of torch than is there so far
before = peak()
model = checkpoint.load(folder / "m.safetensors", config, 64, torch.bfloat16, "cpu")
print(peak() - before)
"""
"""The peak of what is resident, pages of the mapped file among it. ru_maxrss would begin with the parent's peak."""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads what Linux says of a process's memory")
def test_a_checkpoint_is_never_in_memory_twice(tmp_path: Path) -> None:
    micro = json.loads(resources.files("tts_worker.model").joinpath("configs", "micro.json").read_text("utf-8"))
    (tmp_path / "params.json").write_text(json.dumps(micro | {"n_layers": LAYERS}), encoding="utf-8")
    model = build(load_config(tmp_path / "params.json"), 64, encoder=False, dtype=torch.bfloat16, device="cpu")
    for tensor in model.state_dict().values():
        tensor.zero_()
    export(model, tmp_path / "m.safetensors")
    size = (tmp_path / "m.safetensors").stat().st_size
    assert size > 190e6
    del model
    done = subprocess.run(
        [sys.executable, "-c", LOADING, str(tmp_path)], capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    assert 0.95 * size < int(done.stdout) < 1.35 * size


def test_the_memory_of_slots_is_free_when_their_runner_is() -> None:
    """Without a collection of garbage, which nobody promises: on a GPU it is most of what there is."""
    gc.disable()
    try:
        runner = Runner(model(), slots=2, length=64)
        cache = weakref.ref(runner._streams.cache.both)
        del runner
        assert cache() is None
    finally:
        gc.enable()
