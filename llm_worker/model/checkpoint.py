"""Checkpoints: strict, memory-mapped, in both published layouts; export to the native one.

Every tensor is used once or skipped on purpose, or the file is refused before anything is allocated, with every
difference named. A folder may hold both layouts; one is read, the native one if it is there.
"""

import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from llm_worker.model.config import Config
from llm_worker.model.names import Entry, Layout, Shape, entries, layout_of, skipped
from llm_worker.model.network import Decoder, build
from llm_worker.model.quantised import from_fp8, from_int8, from_nvfp4, to_fp8, to_int8
from llm_worker.model.storage import Stored, problems, stored

Store = Literal["bf16", "f32", "fp8", "int8"]
"""What a model is written as."""
CHECKPOINT = "consolidated.safetensors"
_PATTERNS = ("consolidated*.safetensors", "model*.safetensors")
_MOST_NAMED = 20


class CheckpointError(Exception):
    """The file is not a checkpoint of this configuration; the text names the differences."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the files of a checkpoint say they hold."""

    shapes: Mapping[str, Shape]
    types: Mapping[str, str]
    files: Mapping[str, Path]

    @property
    def layout(self) -> tuple[Layout, str]:
        """Which, and with what prefix."""
        return layout_of(self.shapes)

    @property
    def skipped(self) -> list[str]:
        """Tensors that the decoder of text does without."""
        layout, _ = self.layout
        return [name for name in self.shapes if skipped(name, layout)]

    def parts(self, config: Config) -> list[Stored]:
        """Every tensor of a configuration, as it is to be found here."""
        layout, prefix = self.layout
        return [stored(entry, layout, self.types) for entry in entries(config, layout, prefix)]


def read_header(path: Path) -> Header:
    """Names, shapes and types of a file or of all files of a folder, without reading any weights.
    Raises CheckpointError."""
    shapes: dict[str, Shape] = {}
    types: dict[str, str] = {}
    files: dict[str, Path] = {}
    for file in _files(path):
        with _opened(file) as content:
            for name in content.keys():  # noqa: SIM118 - it is no mapping
                if name in files:
                    raise CheckpointError(f"{file}: {name} is in {files[name].name} as well")
                part = content.get_slice(name)
                shapes[name], types[name], files[name] = tuple(part.get_shape()), part.get_dtype(), file
    return Header(shapes, types, files)


def differences(header: Header, config: Config) -> list[str]:
    """What is wrong with a checkpoint, a line each; [] if it is one of this configuration."""
    parts = header.parts(config)
    known = {need.name for part in parts for need in part.needs} | {name for part in parts for name in part.unused}
    known.update(header.skipped)
    wrong = [line for part in parts for need in part.needs for line in problems(need, header.shapes, header.types)]
    return [*wrong, *(f"{name}: not part of this configuration" for name in header.shapes if name not in known)]


def load(path: Path, config: Config, dtype: torch.dtype, device: torch.device | str) -> Decoder:
    """The model of a file or folder, on `device`, all weights brought to `dtype`. Raises CheckpointError.

    Tensors are copied one by one out of the mapped files: at no time are there two copies of the whole.
    """
    header = read_header(path)
    if wrong := differences(header, config):
        more = f"\n… and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
        raise CheckpointError(f"{path} does not fit its configuration:\n" + "\n".join(wrong[:_MOST_NAMED]) + more)
    model = build(config, dtype, device)
    state = model.state_dict()
    with ExitStack() as stack, torch.no_grad():
        files = {file: stack.enter_context(_opened(file)) for file in set(header.files.values())}
        for part in header.parts(config):
            tensors = [files[header.files[need.name]].get_tensor(need.name) for need in part.needs]
            _place(state, part.entry).copy_(_numbers(part, [tensor.to(device) for tensor in tensors]))
    return model


def export(model: Decoder, path: Path, store: Store = "bf16") -> None:
    """Write a model as a file in the native layout. `fp8` as the published one: matrices, but neither router nor
    tables; `int8`: matrices and tables; what is left is bfloat16."""
    state = model.state_dict()
    tensors: dict[str, Tensor] = {}
    for entry in entries(model.config):
        numbers = _place(state, entry).detach().cpu()
        if store == "fp8" and entry.linear:
            tensors[entry.published], tensors[f"{entry.stem}.qscale_weight"] = to_fp8(numbers)
        elif store == "int8" and (entry.linear or entry.table):
            tensors[entry.published], tensors[f"{entry.stem}.qscale_weight"] = to_int8(numbers)
        else:
            tensors[entry.published] = numbers.to(torch.float32 if store == "f32" else torch.bfloat16).contiguous()
    save_file(tensors, path)


def elements(shapes: Mapping[str, Shape]) -> int:
    """Numbers in all tensors."""
    return sum(math.prod(shape) for shape in shapes.values())


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    for pattern in _PATTERNS:
        if found := sorted(path.glob(pattern)):
            return found
    raise CheckpointError(f"{path}: holds neither {' nor '.join(_PATTERNS)}")


def _opened(file: Path) -> Any:
    try:
        return safe_open(file, framework="pt")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file}: {error}") from None


def _numbers(part: Stored, tensors: list[Tensor]) -> Tensor:
    match part.format:
        case "fp8":
            return from_fp8(*tensors)
        case "int8":
            return from_int8(*tensors)
        case "nvfp4":
            return from_nvfp4(*tensors)
        case "plain":
            return tensors[0]


def _place(state: Mapping[str, Tensor], entry: Entry) -> Tensor:
    whole = state[entry.ours]
    if len(entry.shape) == 3:
        return whole
    rows = whole if entry.expert is None else whole[entry.expert]
    return rows[entry.first_row : entry.first_row + entry.shape[0]]
