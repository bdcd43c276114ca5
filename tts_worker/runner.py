"""Streams on tensors: a slot each, one frame a step, all of them in one batch. The engine's thread owns it.

Steps, prompts and sound are started and not waited for: what they make comes back as downloads. Sound is decoded in a
lane of its own, which yields to the steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tts_worker.engine import Sound
from tts_worker.lane import Download, Lane
from tts_worker.model.backbone import Cache
from tts_worker.model.codec import CodecState
from tts_worker.model.config import SPECIALS
from tts_worker.model.flow import GUIDANCE
from tts_worker.model.network import Voxtral
from tts_worker.model.reference import voice_rows
from tts_worker.pieces import Frames
from tts_worker.recorder import Recorder, compile_layers
from tts_worker.streams import Streams, advance
from tts_worker.tuning import Tuning, tuned


@dataclass(frozen=True, slots=True)
class Prefix:
    """The part of a prompt that all streams of a voice share, computed once."""

    cache: Cache
    """Of one row."""

    @property
    def length(self) -> int:
        """Positions."""
        return self.cache.length


@dataclass(frozen=True, slots=True)
class Beginning:
    """A stream that is to enter a slot."""

    slot: int
    prefix: Prefix
    ids: Sequence[int]
    """The prompt behind the voice."""
    seed: int
    guidance: float = GUIDANCE
    frames: Frames | None = None
    """[n, books] Frames that were made already, shifted."""

    @property
    def positions(self) -> int:
        """What it takes of its slot before the first new frame."""
        return self.prefix.length + len(self.ids) + (0 if self.frames is None else len(self.frames))


@dataclass(frozen=True, slots=True)
class Made:
    """The frames of a step, on their way."""

    slots: tuple[int, ...]
    download: Download

    def take(self) -> tuple[Frames, list[bool]]:
        """[n, books] shifted codes of the slots, in order, and whether all of a slot's numbers were finite."""
        frames, finite = self.download.take()
        index = list(self.slots)
        return frames[index].astype(np.uint16), finite[index].tolist()


class Runner:
    """`slots` streams of up to `length` positions each."""

    def __init__(self, model: Voxtral, slots: int, length: int, tuning: Tuning | None = None) -> None:
        self.model, self.slots, self.length = model, slots, length
        self._device = model.text_embedding.weight.device
        self.tuning = tuning or tuned(self._device.type, slots)
        self._steps, self._sounds = Lane(self._device, urgent=True), Lane(self._device, urgent=False)
        streams = self._streams = Streams.empty(model, slots, length)
        with torch.inference_mode():
            self._codec: CodecState = model.decoder.fresh(slots)
        # Not of `self`: a circle would keep the memory of all slots until somebody collects garbage.
        self._recorder = Recorder(lambda shape: advance(model, streams, shape))
        # The host's own account of the streams, so that no step has to ask the device.
        self._reach = [0] * slots  # positions so far, 0 where nobody speaks
        self._guided = [False] * slots
        if self._device.type == "cuda":
            # Its attention makes a plan on the host for every new shape, and pieces of sound come in hundreds of them.
            torch.backends.cuda.enable_cudnn_sdp(False)
            torch.cuda.synchronize(self._device)  # what was loaded is there for all lanes
        if self.tuning.compiled:
            compile_layers(model)
        if self.tuning.recorded:
            with self._steps.work():
                self._recorder.record(self.tuning.shapes(length))

    # -- prompts -----------------------------------------------------------------------------------------------------

    def voice(self, ids: Sequence[int], rows: Tensor) -> Prefix:
        """What all streams of a voice begin with: its part of the prompt, and the rows that stand in it [N, D].
        Raises ValueError where the two do not fit."""
        with self._steps.work():
            cache = self._scratch(1, len(ids))
            inputs = self.model.prompt(self._uploaded(ids), self._steps.upload(rows.cpu()))
            places = torch.arange(len(ids), device=self._device)
            self.model.backbone(inputs[None], places[None], cache)
            return Prefix(cache)

    def rows_of(self, samples: Sound) -> Tensor:
        """A voice's rows [N, D] from a recording, mono at the codec's rate. Raises ValueError without an encoder."""
        with self._steps.work():
            return voice_rows(self.model, self._steps.upload(torch.tensor(samples))).cpu()

    def begin(self, starts: Sequence[Beginning]) -> None:
        """Put streams into their slots: the prompts, and the frames made already, go through the backbone together.

        Raises ValueError when one does not fit. What was in the slots is forgotten. The codec begins anew: who goes on
        with a stream decodes its frames first.
        """
        for start in starts:
            if start.positions >= self.length:
                raise ValueError(f"the prompt takes {start.positions} of {self.length} positions: no frame fits")
        with self._sounds.work():
            self._codec.restart(self._sounds.upload(torch.tensor([start.slot for start in starts])))
        with self._steps.work():
            for first in range(0, len(starts), self.tuning.prompts):
                self._read(starts[first : first + self.tuning.prompts])

    def _read(self, starts: Sequence[Beginning]) -> None:
        """Prompts of several lengths, padded at their ends: what is computed there is overwritten before it is seen."""
        inputs = [self._inputs(start) for start in starts]
        padded = pad_sequence(inputs, batch_first=True)  # [B, T, D]
        firsts = self._uploaded([start.prefix.length for start in starts])
        places = firsts[:, None] + torch.arange(padded.shape[1], device=self._device)
        places = places.clamp(max=self.length - 1)  # where padding would leave the slot
        end = min(self.length, max(start.prefix.length for start in starts) + padded.shape[1])
        cache = self._scratch(len(starts), end)
        for row, start in enumerate(starts):
            cache.both[:, :, row, :, : start.prefix.length] = start.prefix.cache.both[:, :, 0]
        states = self.model.backbone(padded, places, cache)
        for row, start in enumerate(starts):
            self._enter(start, cache.rows(row, row + 1, end), states[row, len(inputs[row]) - 1])
        self._count(starts)

    def _inputs(self, start: Beginning) -> Tensor:
        """[T, D] What follows the voice."""
        inputs: Tensor = self.model.text_embedding(self._uploaded(start.ids))
        if start.frames is None or not len(start.frames):
            return inputs
        frames = self._steps.upload(torch.from_numpy(start.frames.astype(np.int64)))
        return torch.cat((inputs, self.model.frame_embedding(frames)))

    def _enter(self, start: Beginning, cache: Cache, state: Tensor) -> None:
        """Write a stream into its slot."""
        streams, slot = self._streams, start.slot
        mine = streams.cache.rows(slot, slot + 1, self.length)
        mine.both.zero_()  # a stream that broke may have left numbers that are not finite
        mine.both[..., : cache.length, :] = cache.both
        streams.state[slot] = state
        self._reach[slot] = start.positions
        self._guided[slot] = start.guidance != 1

    def _count(self, starts: Sequence[Beginning]) -> None:
        """Write where the streams stand. All at once: to set one number of a GPU's tensor waits for the GPU."""
        streams, slots = self._streams, self._uploaded([start.slot for start in starts])
        streams.position[slots] = self._uploaded([start.positions for start in starts])
        streams.number[slots] = self._uploaded([0 if start.frames is None else len(start.frames) for start in starts])
        streams.seed[slots] = self._uploaded([_signed(start.seed) for start in starts])
        streams.guidance[slots] = self._steps.upload(torch.tensor([start.guidance for start in starts]))

    def _scratch(self, rows: int, length: int) -> Cache:
        return Cache.empty(self.model.config, rows, length, self.model.text_embedding.weight.dtype, self._device)

    def _uploaded(self, numbers: Sequence[int]) -> Tensor:
        return self._steps.upload(torch.tensor(numbers, dtype=torch.int64))

    def leave(self, slot: int) -> None:
        """The slot's stream is over."""
        self._reach[slot] = 0

    # -- frames ------------------------------------------------------------------------------------------------------

    def step(self, active: Sequence[int]) -> Made:
        """Begin to make the next frame of some slots."""
        rows = self.tuning.shape(max(active) + 1, 1, self.length, True).rows
        # A stream that waits is computed, too: its next position must not be another one, which is in use.
        reach = 1 + max(self._reach[:rows])
        shape = self.tuning.shape(rows, reach, self.length, any(self._guided[slot] for slot in active))
        taking_part = torch.zeros(rows, dtype=torch.bool)
        taking_part[list(active)] = True
        for slot in active:
            self._reach[slot] = min(self._reach[slot] + 1, self.length - 1)
        streams = self._streams
        with self._steps.work():
            streams.active[:rows].copy_(self._steps.upload(taking_part), non_blocking=True)
            self._recorder.run(shape)
            made = self._steps.download(streams.frames[:rows], streams.finite[:rows])
        return Made(tuple(active), made)

    # -- sound -------------------------------------------------------------------------------------------------------

    def decode(self, slots: Sequence[int], frames: npt.NDArray[np.integer]) -> Download:
        """Begin to decode the next frames [n, T, books], shifted, of some slots: samples [n, T · frame], float32."""
        with self._sounds.work():
            index = self._sounds.upload(torch.tensor(slots))
            codes = self._sounds.upload(torch.from_numpy(np.maximum(frames.astype(np.int64) - SPECIALS, 0)))
            samples, rows = self.model.decoder(codes, self._codec.rows(index))
            self._codec.put(index, rows)
            return self._sounds.download(samples.float().clamp(-1, 1))


def sound_of(download: Download) -> Sound:
    """What `Runner.decode` has begun."""
    return cast(Sound, download.take()[0])


def _signed(seed: int) -> int:
    """64 bits as torch counts them."""
    return (seed & (1 << 64) - 1) - (1 << 64 if seed & 1 << 63 else 0)
