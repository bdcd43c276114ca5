"""How far made sound is from true sound: the waveform, and spectra of five lengths, linear and by ear."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

_BANDS = {2048: 128, 1024: 96, 512: 64, 256: 32, 128: 16}
"""Mel bands of each window's length in samples."""
_FLOOR = 1e-4
"""Added before a logarithm: about 55 dB under speech of normal loudness."""


@dataclass(frozen=True)
class Distance:
    """Each is a scalar, 1 or a few for silence in place of speech."""

    wave: Tensor
    """Mean difference of samples, as a share of the mean sample."""
    spectrum: Tensor
    """The same of magnitudes, mean over the windows."""
    mel: Tensor
    """Mean difference of the natural logarithms of mel magnitudes."""


class Spectra(nn.Module):
    """Windows and mel bands for one sampling rate."""

    def __init__(self, rate: int) -> None:
        super().__init__()
        for length, bands in _BANDS.items():
            self.register_buffer(f"window_{length}", torch.hann_window(length), persistent=False)
            self.register_buffer(f"bands_{length}", mel_bands(bands, length, rate), persistent=False)

    def forward(self, made: Tensor, true: Tensor) -> Distance:
        """[B, samples] each, float32."""
        with torch.no_grad():
            size = true.abs().mean().clamp(min=1e-4)
        spectrum = mel = made.new_zeros(())
        for length in _BANDS:
            window, bands = self.get_buffer(f"window_{length}"), self.get_buffer(f"bands_{length}")
            with torch.no_grad():
                wanted = magnitudes(true, window)
                wanted_mel = log_mel(wanted, bands)
                mean = wanted.mean().clamp(min=_FLOOR)
            got = magnitudes(made, window)
            spectrum = spectrum + (got - wanted).abs().mean() / mean
            mel = mel + (log_mel(got, bands) - wanted_mel).abs().mean()
        return Distance((made - true).abs().mean() / size, spectrum / len(_BANDS), mel / len(_BANDS))


def magnitudes(samples: Tensor, window: Tensor) -> Tensor:
    """[B, samples] → [B, bins, frames], a quarter window apart, as large for any window's length."""
    length = len(window)
    bins = torch.stft(samples, length, length // 4, window=window, normalized=True, return_complex=True)
    # A root has no slope at zero.
    return (bins.real.square() + bins.imag.square() + 1e-9).sqrt()


def log_mel(magnitude: Tensor, bands: Tensor) -> Tensor:
    """[B, bins, frames] → [B, bands, frames], natural logarithm."""
    return (torch.matmul(bands, magnitude) + _FLOOR).log()


def mel_bands(bands: int, length: int, rate: int) -> Tensor:
    """[bands, bins] Triangles of equal width on the mel scale (O'Shaughnessy 1987), each a weighted mean. One too
    narrow for any bin takes the bin that is nearest."""
    bins = torch.linspace(0, rate / 2, length // 2 + 1)
    top = 2595 * torch.log10(torch.tensor(1 + rate / 2 / 700))
    edges = 700 * (10 ** (torch.linspace(0, 1, bands + 2) * top / 2595) - 1)
    low, centre, high = (edges[i : i + bands, None] for i in range(3))
    triangles = torch.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)).clamp(min=0)
    nearest = torch.zeros_like(triangles).scatter_(1, (bins - centre).abs().argmin(1, keepdim=True), 1.0)
    triangles = torch.where(triangles.sum(1, keepdim=True) > 0.5, triangles, nearest)
    return triangles / triangles.sum(1, keepdim=True)
