"""A small model with random weights, and the same weights as the plain mathematics wants them."""

import numpy as np
import torch
from torch import Tensor

from tests.tts_worker.model.plain import Array
from tts_worker.model.config import Config, shipped_config
from tts_worker.model.names import entries
from tts_worker.model.network import Voxtral, build, randomise

LENGTH = 160
NANO = shipped_config("nano")


def model(seed: int = 1, config: Config = NANO) -> Voxtral:
    """Float32, on the CPU, with an encoder."""
    made = build(config, LENGTH, encoder=True, dtype=torch.float32, device="cpu")
    randomise(made, seed)
    return made


def published(of: Voxtral) -> dict[str, Array]:
    """The weights by their published names, in float64."""
    state = of.state_dict()
    return {
        e.published: state[e.ours][e.first_row : e.first_row + e.shape[0]].double().numpy().copy()
        for e in entries(of.config, encoder=True)
    }


def codes(config: Config, streams: int, frames: int, seed: int = 0) -> Tensor:
    """Random codes without shift [streams, frames, books]."""
    generator = torch.Generator().manual_seed(seed)
    audio = config.audio
    first = torch.randint(audio.semantic_codebook_size, (streams, frames, 1), generator=generator)
    rest = torch.randint(
        audio.acoustic_codebook_size, (streams, frames, audio.n_acoustic_codebook), generator=generator
    )
    return torch.cat((first, rest), dim=-1)


def close(one: Tensor, other: Array | Tensor, tolerance: float = 2e-5) -> bool:
    """Whether they differ by less, against the size of the numbers."""
    a, b = one.detach().double().numpy(), np.asarray(other, dtype=np.float64)
    return a.shape == b.shape and float(np.abs(a - b).max()) <= tolerance * max(1.0, float(np.abs(b).max()))
