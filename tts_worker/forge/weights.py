"""The trained codec in a file of its own, by the published names: what later steps and the release read."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from tts_worker.forge.job import JobError
from tts_worker.forge.nets import CodecNets
from tts_worker.model.config import Config
from tts_worker.model.names import Entry, entries
from tts_worker.model.network import Voxtral

_CODEC = "audio_tokenizer."


def write_codec(nets: CodecNets, config: Config, path: Path) -> None:
    """Encoder, decoder and table in float32; the file appears complete or not at all."""
    state = nets.state_dict()
    temporary = path.with_suffix(".tmp")
    save_file({e.published: _rows(state, e).contiguous().cpu() for e in _entries(config)}, temporary)
    temporary.replace(path)


def read_codec(path: Path, into: Voxtral) -> None:
    """Fill encoder, decoder and table of a model that has all of them. Raises JobError."""
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise JobError(f"{path}: {error}") from None
    wanted = _entries(into.config)
    wrong = [e.published for e in wanted if e.published not in tensors or tensors[e.published].shape != e.shape]
    if wrong or len(tensors) != len(wanted):
        raise JobError(f"{path} is no codec of this configuration: {', '.join(wrong[:3]) or 'it has more tensors'}")
    _copy(tensors, wanted, into)


@torch.no_grad()
def _copy(tensors: dict[str, torch.Tensor], wanted: list[Entry], into: nn.Module) -> None:
    state = into.state_dict()
    for entry in wanted:
        _rows(state, entry).copy_(tensors[entry.published])


def _entries(config: Config) -> list[Entry]:
    return [entry for entry in entries(config, encoder=True) if entry.published.startswith(_CODEC)]


def _rows(state: dict[str, torch.Tensor], entry: Entry) -> torch.Tensor:
    return state[entry.ours][entry.first_row : entry.first_row + entry.shape[0]]
