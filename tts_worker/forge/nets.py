"""The codec as it is trained: the engine's own encoder and decoder, and what only training needs."""

import torch
from torch import Tensor, nn

from tts_worker.forge.quantise import Quantised, Treatment, forget, quantise
from tts_worker.model.codec import Decoder, Encoder
from tts_worker.model.codec_config import Codec
from tts_worker.model.convolution import CausalConv, CausalUpConv

_LOUDNESS = 0.1
"""Of speech, roughly: what comes in is made as large as what the layers' norms are made for, what goes out as small."""


class CodecNets(nn.Module):
    """Encoder, decoder with its table, and a linear reader of sounds from semantic vectors."""

    def __init__(self, config: Codec, phones: int, slots: int, branches: float) -> None:
        """`branches`: scale with which the branches of the transformer layers begin."""
        super().__init__()
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        self.reader = nn.Linear(config.semantic_dim, slots * phones)
        self._slots, self._phones = slots, phones
        forget(self.decoder.quantiser)
        for name, parameter in self.named_parameters():
            if name.endswith(("attention_scale", "ffn_scale")):
                nn.init.constant_(parameter, branches)
        for side in (self.encoder, self.decoder):
            for convolution in side.convolutions:
                _even(convolution)
        _scale(self.encoder.convolutions.first(), 1 / _LOUDNESS)
        *_, last = self.decoder.convolutions
        _scale(last, _LOUDNESS)

    def forward(self, samples: Tensor, treatment: Treatment, noise: Tensor) -> tuple[Tensor, Quantised]:
        """[B, frames · frame] → the same again through the codec, and what happened in the middle."""
        latent, _ = self.encoder(samples, self.encoder.fresh(len(samples)))
        middle = quantise(self.decoder.quantiser, latent, treatment, noise)
        return sound(self.decoder, middle.latent.to(latent.dtype)), middle

    def read(self, semantic: Tensor) -> Tensor:
        """Semantic vectors [B, T, semantic_dim] → scores [B, T, slots, phones]."""
        return self.reader(semantic).unflatten(-1, (self._slots, self._phones))

    @torch.no_grad()
    def codes(self, samples: Tensor) -> Tensor:
        """[B, frames · frame] → codes without shift [B, T, books]."""
        latent, _ = self.encoder(samples, self.encoder.fresh(len(samples)))
        return self.decoder.quantiser.encode(latent)

    @torch.no_grad()
    def resynthesised(self, samples: Tensor) -> Tensor:
        """Through codes, as in use: [B, frames · frame] → the same."""
        return self.decoder.whole(self.codes(samples))


def sound(decoder: Decoder, latent: Tensor) -> Tensor:
    """What `Decoder.whole` does behind its quantiser, so that gradients reach the encoder: latent [B, T, latent] →
    samples [B, T · frame]."""
    state = decoder.fresh(len(latent))
    begun = state.frames > 0
    pasts, windows = iter(state.convolutions), iter(state.windows)
    x = latent
    *convolutions, last = decoder.convolutions
    for convolution, layers in zip(convolutions, decoder.stages, strict=True):
        x, _ = convolution(x, next(pasts), begun)
        bias = layers.first().bias(x, state.frames)
        for layer in layers:
            x, _ = layer(x, next(windows), bias)
    patches, _ = last(x, next(pasts), begun)
    return patches.flatten(1)


@torch.no_grad()
def _even(convolution: CausalConv | CausalUpConv) -> None:
    """Begin with kernels that neither enlarge nor shrink noise, so that the latent begins as large as its grid."""
    direction = convolution.kernel.direction
    first, second, taps = direction.shape
    inputs = first * (convolution.past + 1) if isinstance(convolution, CausalUpConv) else second * taps
    nn.init.normal_(direction, std=inputs**-0.5)
    if convolution.kernel.gain is not None:
        convolution.kernel.gain.copy_(direction.flatten(1).norm(dim=1)[:, None, None])


@torch.no_grad()
def _scale(convolution: CausalConv | CausalUpConv, by: float) -> None:
    (convolution.kernel.direction if convolution.kernel.gain is None else convolution.kernel.gain).mul_(by)
