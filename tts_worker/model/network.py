"""The whole model: text, voice and frames in, frames and sound out."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from tts_worker.model.backbone import Backbone
from tts_worker.model.codec import Decoder, Encoder
from tts_worker.model.config import Config
from tts_worker.model.flow import Heads
from tts_worker.model.frames import FrameEmbedding


@runtime_checkable
class _Computed(Protocol):
    """A module with tables that are computed, not loaded."""

    def reset(self) -> None: ...


class Voxtral(nn.Module):
    """Backbone, heads and codec of one configuration. The encoder is there only where its weights are."""

    def __init__(self, config: Config, length: int, encoder: bool) -> None:
        """`length`: the most positions a stream can have."""
        super().__init__()
        self.config = config
        self.text_embedding = nn.Embedding(config.vocab_size, config.dim)
        self.frame_embedding = FrameEmbedding(config.audio, config.dim)
        self.backbone = Backbone(config, length)
        self.heads = Heads(config.flow, config.audio)
        self.decoder = Decoder(config.codec)
        self.encoder = Encoder(config.codec) if encoder else None

    def prompt(self, ids: Tensor, voice: Tensor | None = None) -> Tensor:
        """Token ids [P] → inputs [P, D]; the rows of `voice` [N, D] take the places of the audio tokens, in order.

        Raises ValueError where their numbers differ.
        """
        inputs: Tensor = self.text_embedding(ids)
        places = ids == self.config.audio.audio_token_id
        count, given = int(places.sum()), 0 if voice is None else len(voice)
        if count != given:
            raise ValueError(f"the prompt has {count} places for a voice of {given} frames")
        if voice is not None:
            inputs = inputs.clone()
            inputs[places] = voice.to(inputs.dtype)
        return inputs


def build(config: Config, length: int, encoder: bool, dtype: torch.dtype, device: torch.device | str) -> Voxtral:
    """A model with memory and no values yet, except for what is computed. Weights get `dtype`; tables and the codec's
    running averages stay float32."""
    with torch.device("meta"):
        model = Voxtral(config, length, encoder)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    if torch.device(device).type != "meta":
        model = model.to_empty(device=device)
        compute_tables(model)
    return model.eval()


def compute_tables(model: nn.Module) -> None:
    """Fill what is computed from the configuration alone."""
    for module in model.modules():
        if isinstance(module, _Computed):
            module.reset()


def fold(model: Voxtral) -> None:
    """Compute once what does not change any more, for a model that is not trained further. Once only."""
    model.decoder.fold()
    model.heads.fold()


def randomise(model: Voxtral, seed: int, scale: float = 1.0) -> None:
    """Random weights of a size that keeps signals in bounds: for tests and benchmarks of speed."""
    generator = torch.Generator(model.text_embedding.weight.device).manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if name.endswith("norm.weight"):
            tensor.fill_(1.0)
        elif name.endswith("cluster_usage"):
            tensor.copy_(0.5 + 2 * torch.rand(tensor.shape, generator=generator, device=tensor.device))
        elif name.endswith("_scale"):
            tensor.fill_(0.5)
        else:
            fan_in = max(1, tensor[0].numel()) if tensor.ndim > 1 else 1
            width = 1.0 if "embedding" in name or "gain" in name else fan_in**-0.5
            values = torch.randn(tensor.shape, generator=generator, device=tensor.device, dtype=torch.float32)
            tensor.copy_(values * width * scale)
