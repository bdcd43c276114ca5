"""The decoder: tokens and their cached context in, states and logits out."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

from llm_worker.model.attention import Attention, Form
from llm_worker.model.cache import Batch, LatentPool
from llm_worker.model.config import Config
from llm_worker.model.experts import ExpertForm, SparseFeedForward
from llm_worker.model.layers import Modules, RMSNorm
from llm_worker.model.positions import Places, Positions


@runtime_checkable
class _Computed(Protocol):
    """A module with tables that are computed, not loaded."""

    def reset(self) -> None: ...


class Layer(nn.Module):
    """Pre-norm attention and sparse feed-forward."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.attention = Attention(config)
        self.ffn_norm = RMSNorm(config.dim, config.norm_eps)
        self.feed_forward = SparseFeedForward(config)


class Decoder(nn.Module):
    """All layers of one configuration, embedding and output head."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.expert_form: ExpertForm | None = None
        """How experts are computed; None: by the number of tokens."""
        self.embedding = nn.Embedding(config.vocab_size, config.dim)
        self.positions = Positions(config)
        self.layers: Modules[Layer] = Modules(Layer(config) for _ in range(config.n_layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.output = None if config.tied_embeddings else nn.Linear(config.dim, config.vocab_size, bias=False)

    def forward(self, batch: Batch, pool: LatentPool, form: Form) -> Tensor:
        """States [B, T, D] of a batch's tokens, normed; their latents are in the pool afterwards.

        Nothing in it waits for the device, and shapes follow from the batch's alone. Without gradients only: the pool
        is written in place; `whole` is for training.
        """
        x = self.embedding(batch.ids)
        places, mask = self.positions(batch.positions), batch.mask(x.dtype)
        write, read = batch.write.flatten(), batch.read.flatten()
        context = pool.latents.new_empty((*batch.read.shape, self.config.latent_dim))
        for layer, cached in zip(self.layers, pool.latents, strict=True):
            still, turning, latents = layer.attention.project(layer.attention_norm(x), places)
            cached.index_copy_(0, write, latents.flatten(0, 1).to(cached.dtype))
            # Into the same memory for every layer: new pages would cost more than the copy.
            torch.index_select(cached, 0, read, out=context.view(len(read), -1))
            attend = layer.attention.absorbed if form == "absorbed" else layer.attention.expanded
            x = x + attend(still, turning, context.to(x.dtype), mask)
            x = x + layer.feed_forward(layer.ffn_norm(x), self.expert_form)
        return self.norm(x)

    def whole(self, ids: Tensor) -> Tensor:
        """States [B, T, D] of sequences [B, T] from their start, without a cache: to train, and to compare with."""
        x = self.embedding(ids)
        length = torch.arange(ids.shape[1], device=ids.device)
        places: Places = self.positions(length.expand_as(ids))
        mask = x.new_full((1, len(length), len(length)), -torch.inf).triu(1)
        for layer in self.layers:
            x = x + layer.attention.expanded(*layer.attention.project(layer.attention_norm(x), places), mask)
            x = x + layer.feed_forward(layer.ffn_norm(x), self.expert_form)
        return self.norm(x)

    def logits(self, states: Tensor) -> Tensor:
        """[N, D] → [N, vocabulary], float32."""
        return functional.linear(states, self.head).float()

    @property
    def head(self) -> Tensor:
        """Rows [vocabulary, D] that states are compared with."""
        return self.embedding.weight if self.output is None else self.output.weight


def build(config: Config, dtype: torch.dtype, device: torch.device | str) -> Decoder:
    """A model with memory and no values yet, except for what is computed. Weights get `dtype`, tables stay float32:
    a model that was made in one type is not brought to another by `Module.to`, which takes its tables along."""
    with torch.device("meta"):
        model = Decoder(config)
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


def randomise(model: Decoder, seed: int, scale: float = 1.0) -> None:
    """Random weights of a size that keeps signals in bounds: for tests and benchmarks of speed. The same on every
    machine for one kind of device."""
    generators: dict[torch.device, torch.Generator] = {}
    for name, tensor in model.state_dict().items():
        device = tensor.device
        if device not in generators:
            generators[device] = torch.Generator(device).manual_seed(seed)
        values = torch.randn(tensor.shape, generator=generators[device], dtype=torch.float32, device=device)
        if name.endswith("norm.weight"):
            tensor.copy_(1 + values * 0.1)
        else:
            only_read = name.startswith("embedding") and model.output is not None
            width = 1.0 if only_read else tensor.shape[-1] ** -0.5
            tensor.copy_(values * width * scale)
