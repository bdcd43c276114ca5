"""Discriminators on spectra of several lengths. They learn to tell made speech from true speech, and the codec learns
to bring forth in them what true speech brings forth (feature matching); fooling them is optional, as in the paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tts_worker.forge.job import CodecJob
from tts_worker.model.layers import Modules

_DILATIONS = (1, 2, 4)
_BETAS = (0.8, 0.99)


class Discriminator(nn.Module):
    """Convolutions over a complex spectrum whose windows are `length` samples and a quarter of that apart."""

    def __init__(self, length: int, channels: int) -> None:
        super().__init__()
        self._length = length
        self.register_buffer("window", torch.hann_window(length), persistent=False)
        widths = [2, *[channels] * (len(_DILATIONS) + 1)]
        self.layers: Modules[nn.Conv2d] = Modules(
            nn.Conv2d(inputs, outputs, (9, 3), (2 if index else 1, 1), (4, dilation), (1, dilation))
            for index, (inputs, outputs, dilation) in enumerate(zip(widths, widths[1:], (1, *_DILATIONS), strict=False))
        )
        self.last = nn.Conv2d(channels, 1, (3, 3), padding=(1, 1))

    def forward(self, samples: Tensor) -> list[Tensor]:
        """[B, samples] → what each layer makes of it; the last is the verdict, high for true speech."""
        with torch.autocast(samples.device.type, enabled=False):
            bins = torch.stft(
                samples.float(), self._length, self._length // 4, window=self.get_buffer("window"),
                normalized=True, return_complex=True,
            )  # fmt: skip
            # Loud and soft parts of speech are far apart; a root brings them nearer and keeps the phase.
            x = torch.view_as_real(bins / (bins.abs() + 1e-4).sqrt()).permute(0, 3, 1, 2)
        features = []
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), 0.2)
            features.append(x)
        return [*features, self.last(x)]


@dataclass(frozen=True)
class Opinion:
    """Of all discriminators about made speech, each a scalar."""

    features: Tensor
    """Mean difference of what the layers make of made and of true speech, as a share of the latter."""
    fooled: Tensor
    """Minus the mean verdict."""


class Adversary(nn.Module):
    """All discriminators and their optimiser."""

    def __init__(self, settings: CodecJob) -> None:
        super().__init__()
        self.discriminators: Modules[Discriminator] = Modules(
            Discriminator(length, settings.adversary_channels) for length in settings.adversary_windows
        )
        self.optimiser = torch.optim.AdamW(self.parameters(), settings.adversary_rate, _BETAS, weight_decay=0.0)
        self._learned = False

    def learn(self, made: Tensor, true: Tensor) -> float:
        """A step; the hinge loss before it. [B, samples] each; no gradient reaches `made`."""
        loss = made.new_zeros(())
        for discriminator in self.discriminators:
            verdicts = discriminator(torch.cat((true, made.detach())))[-1].float()
            right, wrong = verdicts.chunk(2)
            loss = loss + functional.relu(1 - right).mean() + functional.relu(1 + wrong).mean()
        loss = loss / len(self.discriminators)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self._learned = True
        return float(loss.detach())

    def opinion(self, made: Tensor, true: Tensor) -> Opinion:
        """[B, samples] each; gradients reach `made` only as far as the codec is concerned."""
        features, fooled, layers = made.new_zeros(()), made.new_zeros(()), 0
        for discriminator in self.discriminators:
            with torch.no_grad():
                wanted = discriminator(true)
            got = discriminator(made)
            features = features + _difference(got[:-1], wanted[:-1])
            fooled = fooled - got[-1].float().mean()
            layers += len(got) - 1
        return Opinion(features / layers, fooled / len(self.discriminators))

    def saved(self) -> dict[str, Any] | None:
        """What `restore` needs; None before the first step."""
        return {"nets": self.state_dict(), "optimiser": self.optimiser.state_dict()} if self._learned else None

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from there. Raises RuntimeError for discriminators of other sizes."""
        self.load_state_dict(saved["nets"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self._learned = True


def _difference(got: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    shares = [
        (one.float() - other.float()).abs().mean() / other.float().abs().mean().clamp(min=1e-4)
        for one, other in zip(got, wanted, strict=True)
    ]
    return torch.stack(shares).sum()
