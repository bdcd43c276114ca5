"""python -m tts_worker inspect: what a configuration or a checkpoint is made of, without loading weights."""

import sys
from pathlib import Path

import torch

from tts_worker.model.checkpoint import CheckpointError, Header, differences, read_header
from tts_worker.model.config import Config, ConfigError, load_config, shipped_config, shipped_names
from tts_worker.model.files import CHECKPOINT, PARAMS
from tts_worker.model.names import entries
from tts_worker.model.network import build


def of_config(name: str) -> list[str]:
    """Each tensor of a shipped configuration or of a `params.json`, and the totals, built on the meta device.
    Raises ConfigError."""
    config = shipped_config(name) if name in shipped_names() else load_config(Path(name))
    model = build(config, length=1, encoder=False, dtype=torch.bfloat16, device="meta")
    held = sum(tensor.numel() for tensor in model.state_dict().values())
    header = expected(config)
    if held != header.elements:
        raise AssertionError(f"the model holds {held} numbers, its checkpoint {header.elements}")
    return [*_lines(header), _totals(header)]


def of_checkpoint(path: Path) -> tuple[list[str], list[str]]:
    """Tensors and totals of a file (or of the folder it lies in), and what does not fit its `params.json`.
    Raises ConfigError and CheckpointError."""
    file = path / CHECKPOINT if path.is_dir() else path
    header = read_header(file)
    config = load_config(file.parent / PARAMS)
    return [*_lines(header), _totals(header)], differences(header, config)


def expected(config: Config) -> Header:
    """The header that a checkpoint of this configuration has, without encoder."""
    shapes = {entry.published: entry.shape for entry in entries(config, encoder=False)}
    return Header(shapes, dict.fromkeys(shapes, "BF16"))


def _lines(header: Header) -> list[str]:
    return [
        f"{name}  {'×'.join(map(str, shape))}  {header.types[name]}" for name, shape in sorted(header.shapes.items())
    ]


def _totals(header: Header) -> str:
    encoder = "with" if header.encoder else "without"
    return f"{len(header.shapes)} tensors, {header.elements:,} numbers, {encoder} the codec's encoder"


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
        sys.exit("\n".join([f"does not fit its {PARAMS}:", *wrong]))
