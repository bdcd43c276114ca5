"""Loading a checkpoint needs its own size of memory, not twice that."""

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
import torch

from tts_worker.model.checkpoint import export
from tts_worker.model.config import load_config
from tts_worker.model.network import build

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
