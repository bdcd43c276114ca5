"""The neural codec: frames of codes → 24 kHz sound, and back. No look-ahead: sound of a frame needs no later one.

Both directions work piece by piece with a state per stream, which the caller keeps, and give exactly what the whole
at once gives.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from tts_worker.model.codec_config import Codec, Stage
from tts_worker.model.codec_layers import CodecLayer, Window
from tts_worker.model.convolution import CausalConv, CausalUpConv
from tts_worker.model.layers import Modules
from tts_worker.model.quantiser import Quantiser


@dataclass(frozen=True, slots=True)
class CodecState:
    """One side of the codec in the middle of B streams."""

    frames: Tensor
    """[B] Frames of each stream so far, int64."""
    convolutions: tuple[Tensor, ...]
    windows: tuple[Window, ...]

    def restart(self, index: Tensor) -> None:
        """The streams of some rows [N] begin anew; what the rows hold is not read any more."""
        self.frames.index_fill_(0, index, 0)

    def rows(self, index: Tensor) -> "CodecState":
        """The state of some streams, by index [N]."""
        return CodecState(
            self.frames[index],
            tuple(past[index] for past in self.convolutions),
            tuple(Window(w.keys[index], w.values[index]) for w in self.windows),
        )

    def put(self, index: Tensor, rows: "CodecState") -> None:
        """Write the state of some streams back."""
        self.frames[index] = rows.frames
        for mine, theirs in zip(self.convolutions, rows.convolutions, strict=True):
            mine[index] = theirs
        for window, other in zip(self.windows, rows.windows, strict=True):
            window.keys[index], window.values[index] = other.keys, other.values


class _Side(nn.Module):
    """What decoder and encoder share: convolutions and transformer layers, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions: Modules[CausalConv | CausalUpConv] = Modules()
        self.stages: Modules[Modules[CodecLayer]] = Modules()

    def _add(self, config: Codec, stage: Stage) -> None:
        self.stages.append(Modules(CodecLayer(config, stage.window) for _ in range(stage.layers)))

    def fresh(self, batch: int) -> CodecState:
        """State before the first piece of `batch` streams."""
        like = next(self.parameters())
        layers = (layer for stage in self.stages for layer in stage)
        return CodecState(
            torch.zeros(batch, dtype=torch.int64, device=like.device),
            tuple(convolution.fresh(batch, like) for convolution in self.convolutions),
            tuple(layer.fresh(batch, like) for layer in layers),
        )

    def fold(self) -> None:
        """Compute once what does not change any more; the kernels are given up for it."""
        for convolution in self.convolutions:
            convolution.fold()


class _Run:
    """One piece on its way through a side; hands each module its state and collects the next."""

    def __init__(self, state: CodecState) -> None:
        self._begun = state.frames > 0
        self._frames = state.frames
        self._pasts, self._windows = iter(state.convolutions), iter(state.windows)
        self._next_pasts: list[Tensor] = []
        self._next_windows: list[Window] = []

    def convolve(self, convolution: CausalConv | CausalUpConv, x: Tensor) -> Tensor:
        """x [B, T, channels]."""
        x, past = convolution(x, next(self._pasts), self._begun)
        self._next_pasts.append(past)
        return x

    def transform(self, layers: Modules[CodecLayer], x: Tensor, per_frame: int) -> Tensor:
        """x [B, T, channels], `per_frame` positions a frame."""
        bias: Tensor | None = None
        for layer in layers:
            bias = layer.bias(x, self._frames * per_frame) if bias is None else bias
            x, window = layer(x, next(self._windows), bias)
            self._next_windows.append(window)
        return x

    def state(self, frames: int) -> CodecState:
        """After the piece."""
        return CodecState(self._frames + frames, tuple(self._next_pasts), tuple(self._next_windows))


class Decoder(_Side):
    """Codes → sound."""

    def __init__(self, config: Codec) -> None:
        super().__init__()
        self.quantiser = Quantiser(config)
        width = config.latent
        for stage in config.decoder_stages:
            self.convolutions.append(
                CausalConv(width, config.dim, stage.kernel, 1, "replicate", config.conv_weight_norm)
                if stage.stride == 1
                else CausalUpConv(width, config.dim, stage.kernel, stage.stride, config.conv_weight_norm)
            )
            self._add(config, stage)
            width = config.dim
        patch, kernel = config.pretransform_patch_size, config.patch_proj_kernel_size
        self.convolutions.append(CausalConv(width, patch, kernel, 1, "reflect", config.conv_weight_norm))
        self._strides = [stage.stride for stage in config.decoder_stages]
        self._table: Tensor | None = None

    def fold(self) -> None:
        """See `_Side.fold`; of the semantic codes, too, only the table is read any more."""
        super().fold()
        self._table = self.quantiser.table()

    def forward(self, codes: Tensor, state: CodecState) -> tuple[Tensor, CodecState]:
        """Codes without shift [B, T, books] → samples [B, T · frame], about −1 to 1, and the next state."""
        run = _Run(state)
        table = self.quantiser.table() if self._table is None else self._table
        x = self.quantiser.decode(codes, table).to(state.convolutions[0].dtype)
        per_frame = 1
        *convolutions, last = self.convolutions
        for convolution, layers, stride in zip(convolutions, self.stages, self._strides, strict=True):
            per_frame *= stride
            x = run.transform(layers, run.convolve(convolution, x), per_frame)
        patches = run.convolve(last, x)
        return patches.flatten(1), run.state(codes.shape[1])

    def whole(self, codes: Tensor) -> Tensor:
        """All of some streams at once: [B, T, books] → [B, T · frame]."""
        samples, _ = self(codes, self.fresh(len(codes)))
        return samples


class Encoder(_Side):
    """Sound → the latent that the quantiser makes codes of."""

    def __init__(self, config: Codec) -> None:
        super().__init__()
        patch, kernel = config.pretransform_patch_size, config.patch_proj_kernel_size
        self._patch, self._frame = patch, config.frame
        self._strides = [stage.stride for stage in config.encoder_stages]
        self.convolutions.append(CausalConv(patch, config.dim, kernel, 1, "reflect", config.conv_weight_norm))
        widths = [config.dim] * len(config.encoder_stages) + [config.latent]
        for stage, (inputs, outputs) in zip(config.encoder_stages, pairwise(widths), strict=True):
            self._add(config, stage)
            self.convolutions.append(
                CausalConv(inputs, outputs, stage.kernel, stage.stride, "replicate", config.conv_weight_norm)
            )

    def forward(self, samples: Tensor, state: CodecState) -> tuple[Tensor, CodecState]:
        """Samples [B, T · frame] → latent [B, T, latent], and the next state."""
        run = _Run(state)
        frames = samples.shape[1] // self._frame
        first, *convolutions = self.convolutions
        x = run.convolve(first, samples.view(len(samples), -1, self._patch))
        per_frame = self._frame // self._patch
        for layers, convolution, stride in zip(self.stages, convolutions, self._strides, strict=True):
            x = run.convolve(convolution, run.transform(layers, x, per_frame))
            per_frame //= stride
        return x, run.state(frames)
