"""python -m llm_worker inspect: what a configuration or a checkpoint is made of, without loading weights."""

import math
import sys
from pathlib import Path

import torch

from llm_worker.model.checkpoint import CheckpointError, Header, differences, elements, read_header
from llm_worker.model.config import Config, ConfigError, load_config, shipped_config, shipped_names
from llm_worker.model.files import read_config
from llm_worker.model.names import Shape, entries
from llm_worker.model.network import build


def of_config(name: str) -> list[str]:
    """Each tensor of a shipped configuration or of a `params.json` by its native name, and the totals, built on the
    meta device. Raises ConfigError."""
    config = shipped_config(name) if name in shipped_names() else load_config(Path(name))
    held = sum(tensor.numel() for tensor in build(config, torch.bfloat16, "meta").state_dict().values())
    shapes = {entry.published: entry.shape for entry in entries(config)}
    if held != elements(shapes):
        raise AssertionError(f"the model holds {held} numbers, its checkpoint {elements(shapes)}")
    lines = [f"{name}  {_shape(shape)}" for name, shape in shapes.items()]
    return [*lines, f"{len(shapes):,} tensors, {held:,} decoder parameters, {active(config):,} active for a token"]


def active(config: Config) -> int:
    """Parameters that one token goes through, embedding and output head included."""
    idle = config.moe.num_experts - config.moe.num_experts_per_tok
    return sum(
        math.prod(entry.shape) for entry in entries(config) if (entry.expert or 0) < config.moe.num_experts - idle
    )


def of_checkpoint(path: Path) -> tuple[list[str], list[str]]:
    """Tensors and totals of a file or of a folder, and what does not fit the configuration beside it.
    Raises ConfigError and CheckpointError."""
    header = read_header(path)
    config = read_config(path if path.is_dir() else path.parent)
    lines = [f"{name}  {_shape(shape)}  {header.types[name]}" for name, shape in sorted(header.shapes.items())]
    return [*lines, _totals(header)], differences(header, config)


def _totals(header: Header) -> str:
    layout, _ = header.layout
    size = sum(file.stat().st_size for file in set(header.files.values()))
    skipped = f", {len(header.skipped)} of them skipped" if header.skipped else ""
    return (
        f"{len(header.shapes):,} tensors{skipped}, {elements(header.shapes):,} numbers, {size:,} bytes, {layout} names"
    )


def _shape(shape: Shape) -> str:
    return "×".join(map(str, shape)) or "one number"


def show(path: Path | None, config: str | None) -> None:
    """Print what was asked for. A checkpoint that does not fit, or nothing to look at: exit code 1."""
    try:
        if (path is None) == (config is None):
            sys.exit("inspect: give either a path or --config")
        lines, wrong = (of_config(config), []) if config is not None else of_checkpoint(path or Path())
    except (ConfigError, CheckpointError) as error:
        sys.exit(f"inspect: {error}")
    sys.stdout.write("\n".join(lines) + "\n")
    if wrong:
        sys.exit("\n".join(["does not fit its configuration:", *wrong]))
