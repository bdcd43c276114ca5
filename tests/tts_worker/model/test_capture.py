"""A step can be captured in a CUDA graph: it asks no number of the device. Tensors without data have none to give."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.tts_worker.model.support import NANO
from tests.tts_worker.model.test_runner import Start, Voices, speak
from tts_worker.model.backbone import Cache
from tts_worker.model.codec import CodecState
from tts_worker.model.config import END, SPECIALS, shipped_config
from tts_worker.model.frames import frame_of
from tts_worker.model.network import build
from tts_worker.model.noise import normal
from tts_worker.runner import sound_of
from tts_worker.tuning import Tuning

META = torch.device("meta")


@pytest.mark.parametrize(("name", "dtype"), [("4b", torch.bfloat16), ("micro", torch.float32)])
@pytest.mark.parametrize("guided", [False, True])
@torch.inference_mode()
def test_a_step_needs_no_number_on_the_host(name: str, dtype: torch.dtype, guided: bool) -> None:
    config, rows = shipped_config(name), 3
    m = build(config, 64, encoder=False, dtype=dtype, device=META)
    m.heads.fold()
    m.decoder.fold()
    cache = Cache.empty(config, rows, 64, dtype, META)
    state = torch.empty(rows, config.dim, dtype=dtype, device=META)
    number = torch.empty(rows, dtype=torch.int64, device=META)
    guidance = torch.empty(rows, device=META)

    logits = m.heads.semantic_logits(state)
    logits[:, END].masked_fill_(number == 0, -math.inf)
    noise = normal(number, number, m.heads.books).to(dtype)
    values = m.heads.sample(state, noise, guidance, guided)
    finite = state.isfinite().all(-1) & values.isfinite().all(-1)
    frames = frame_of(logits.argmax(-1), values.nan_to_num(), config.audio.acoustic_codebook_size)
    following = m.backbone(m.frame_embedding(frames)[:, None], number[:, None], cache)
    assert (following.shape, following.dtype) == ((rows, 1, config.dim), dtype)
    assert (frames.shape, finite.shape) == ((rows, config.audio.codebooks), (rows,))

    index = number[:2]
    codec: CodecState = m.decoder.fresh(rows)
    codec.restart(index)
    samples, after = m.decoder((frames[:2, None] - SPECIALS).clamp(min=0), codec.rows(index))
    codec.put(index, after)
    assert (samples.shape, samples.dtype) == ((2, config.codec.frame), dtype)


@pytest.mark.parametrize("asking", [torch.Tensor.item, torch.Tensor.nonzero, lambda x: x[x > 0], lambda x: bool(x)])
def test_tensors_without_data_refuse_to_be_asked(asking: object) -> None:
    with pytest.raises((RuntimeError, NotImplementedError)):
        asking(torch.empty((), device=META))  # type: ignore[operator]


class Waiting(TorchDispatchMode):
    """Notes what would make the host wait for a GPU: a number taken from a tensor, a mask as an index, and a number
    written into a tensor on its own (copied from memory that is not pinned)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        masked = "index" in name and any(i is not None and i.dtype is torch.bool for i in _indices(args))
        alone = name == "copy_" and args[1].ndim == 0
        if masked or alone or name in ("_local_scalar_dense", "nonzero"):
            self.found.append(name)
        return function(*args, **(kwargs or {}))


def _indices(args: Any) -> list[Tensor | None]:
    return args[1] if len(args) > 1 and isinstance(args[1], list) else []


@pytest.mark.parametrize(
    "asking", [Tensor.item, lambda x: x[x > 0], lambda x: x.__setitem__(0, 1), lambda x: x.__setitem__(x > 0, 1)]
)
def test_waiting_is_noticed(asking: Callable[[Tensor], object]) -> None:
    with Waiting() as waiting:
        asking(torch.ones(1))
    assert waiting.found


def test_phrases_begin_speak_and_sound_without_waiting() -> None:
    one = Voices(tuning=Tuning((1, 2, 4), reach=48, prompts=4))
    heard = speak(one, Start(0), 3)
    beginnings = [one.beginning(start) for start in (Start(2, "bert", seed=1 << 63), Start(1, "carl", frames=heard))]
    with Waiting() as waiting:
        one.begin(beginnings)
        made = one.step([1, 2])
        sound = one.decode([1, 2], np.stack((heard, heard)))
    assert not waiting.found
    assert (made.take()[0].shape, sound_of(sound).shape) == ((2, len(heard[0])), (2, 3 * NANO.codec.frame))
