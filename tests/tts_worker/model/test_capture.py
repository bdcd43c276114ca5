"""A step can be captured in a CUDA graph: it asks no number of the device. Tensors without data have none to give."""

import math

import pytest
import torch

from tts_worker.model.backbone import Cache
from tts_worker.model.codec import CodecState
from tts_worker.model.config import END, SPECIALS, shipped_config
from tts_worker.model.frames import frame_of
from tts_worker.model.network import build
from tts_worker.model.noise import normal

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
    codec: CodecState = m.decoder.fresh(rows).restart(number == 0)
    samples, after = m.decoder((frames[:2, None] - SPECIALS).clamp(min=0), codec.rows(index))
    codec.put(index, after)
    assert (samples.shape, samples.dtype) == ((2, config.codec.frame), dtype)


@pytest.mark.parametrize("asking", [torch.Tensor.item, torch.Tensor.nonzero, lambda x: x[x > 0], lambda x: bool(x)])
def test_tensors_without_data_refuse_to_be_asked(asking: object) -> None:
    with pytest.raises((RuntimeError, NotImplementedError)):
        asking(torch.empty((), device=META))  # type: ignore[operator]
