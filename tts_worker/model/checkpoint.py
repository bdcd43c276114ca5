"""Checkpoints in the published layout: strict, memory-mapped, both directions.

Every tensor is used once, or the file is refused before anything is allocated, with every difference named.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from tts_worker.model.config import Config
from tts_worker.model.names import Entry, Shape, entries
from tts_worker.model.network import Voxtral, build

_ENCODER = ("audio_tokenizer.input_proj.", "audio_tokenizer.encoder_blocks.")
_TYPES = ("BF16", "F16", "F32")
_MOST_NAMED = 20


class CheckpointError(Exception):
    """The file is not a checkpoint of this configuration; the text names the differences."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says it holds."""

    shapes: Mapping[str, Shape]
    types: Mapping[str, str]

    @property
    def encoder(self) -> bool:
        """Whether there is anything of the codec's encoder in it."""
        return any(name.startswith(_ENCODER) for name in self.shapes)

    @property
    def elements(self) -> int:
        """Numbers in all tensors."""
        return sum(math.prod(shape) for shape in self.shapes.values())


def read_header(path: Path) -> Header:
    """Names, shapes and types, without reading any weights. Raises CheckpointError."""
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
            shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
            return Header(shapes, {name: part.get_dtype() for name, part in slices.items()})
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: {error}") from None


def differences(header: Header, config: Config) -> list[str]:
    """What is wrong with a file, a line each; [] if it is a checkpoint of this configuration."""
    wanted = {entry.published: entry.shape for entry in entries(config, header.encoder)}
    missing = (f"{name}: missing" for name in wanted if name not in header.shapes)
    unknown = (f"{name}: not part of this configuration" for name in header.shapes if name not in wanted)
    both = [name for name in wanted if name in header.shapes]
    shapes = (
        f"{name}: is {list(header.shapes[name])}, should be {list(wanted[name])}"
        for name in both
        if header.shapes[name] != wanted[name]
    )
    types = (
        f"{name}: has type {header.types[name]}; valid: {', '.join(_TYPES)}"
        for name in both
        if header.types[name] not in _TYPES
    )
    return [*missing, *unknown, *shapes, *types]


def load(path: Path, config: Config, length: int, dtype: torch.dtype, device: torch.device | str) -> Voxtral:
    """The model of a file, on `device`, for streams of up to `length` positions. Raises CheckpointError.

    Tensors are copied one by one out of the mapped file, which is mapped anew for each: what was read does not stay
    resident. So there is never more in memory than the model and a tensor.
    """
    header = read_header(path)
    if wrong := differences(header, config):
        more = f"\n… and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
        raise CheckpointError(f"{path} does not fit its configuration:\n" + "\n".join(wrong[:_MOST_NAMED]) + more)
    model = build(config, length, header.encoder, dtype, device)
    state = model.state_dict()
    with torch.no_grad():
        for entry in entries(config, header.encoder):
            with safe_open(path, framework="pt") as file:
                _rows(state, entry).copy_(file.get_tensor(entry.published))
    return model


def export(model: Voxtral, path: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write a model in the published layout, for other engines. Raises ValueError for one whose weight norm was
    multiplied out."""
    state = model.state_dict()
    wanted = entries(model.config, model.encoder is not None)
    if lost := next((entry.ours for entry in wanted if entry.ours not in state), None):
        raise ValueError(f"{lost} was folded into another weight; export the model as it was loaded")
    save_file({entry.published: _rows(state, entry).to(dtype).contiguous().cpu() for entry in wanted}, path)


def _rows(state: Mapping[str, torch.Tensor], entry: Entry) -> torch.Tensor:
    return state[entry.ours][entry.first_row : entry.first_row + entry.shape[0]]
