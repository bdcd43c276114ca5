"""Packed matrices give what plain ones give; 16 bits move codes and sound by little."""

import pytest
import torch
from torch import Tensor, nn

from tests.tts_worker.model.support import close, codes, model
from tts_worker.model.backbone import Cache
from tts_worker.model.config import shipped_config
from tts_worker.model.frames import quantised
from tts_worker.model.network import Voxtral
from tts_worker.model.noise import normal
from tts_worker.model.precision import Precision, apply

MICRO = shipped_config("micro")

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")


@pytest.fixture(scope="module")
def plain() -> Voxtral:
    return folded()


def folded(precision: Precision | None = None) -> Voxtral:
    made = model(config=MICRO)
    made.heads.fold()
    made.decoder.fold()
    if precision:
        apply(made, precision)
    return made


def states(m: Voxtral, rows: int = 3) -> Tensor:
    """[rows, 8, D]"""
    inputs = torch.randn(rows, 8, MICRO.dim, generator=torch.Generator().manual_seed(1))
    cache = Cache.empty(MICRO, rows, 8, torch.float32, torch.device("cpu"))
    made: Tensor = m.backbone(inputs, torch.arange(8).expand(rows, -1), cache)
    return made


def values(m: Voxtral, state: Tensor) -> Tensor:
    """[rows, books]"""
    rows = len(state)
    noise = normal(torch.arange(rows), torch.zeros(rows, dtype=torch.int64), m.heads.books)
    return m.heads.sample(state, noise, torch.full((rows,), 1.2))


def moved(one: Tensor, other: Tensor) -> float:
    """How far, against the size of the numbers."""
    return float((one - other).norm() / other.norm())


def test_large_matrices_are_packed_and_small_ones_stay(plain: Voxtral) -> None:
    def largest(m: Voxtral) -> int:
        return max(child.weight.numel() for child in m.modules() if isinstance(child, nn.Linear))

    assert largest(plain) > 1 << 16
    assert largest(folded("float32")) < 1 << 16


@torch.inference_mode()
def test_packed_gives_what_plain_gives(plain: Voxtral) -> None:
    packed = folded("float32")
    state = states(plain)[:, -1]
    assert close(states(packed), states(plain))
    assert close(packed.heads.semantic(state), plain.heads.semantic(state))
    assert close(values(packed, state), values(plain, state))
    some = codes(MICRO, 2, 7)
    assert close(packed.decoder.whole(some), plain.decoder.whole(some))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@torch.inference_mode()
def test_a_stream_does_not_depend_on_its_neighbours(precision: Precision) -> None:
    packed = folded(precision)
    state = states(packed)[:, -1]
    together = values(packed, state)
    state[1] = torch.nan
    broken = values(packed, state)
    assert torch.equal(broken[0], together[0])
    assert torch.equal(broken[2], together[2])


@torch.inference_mode()
def test_sixteen_bits_move_codes_and_sound_by_little(plain: Voxtral) -> None:
    coarse = folded("bfloat16")
    state = states(plain)[:, -1]
    some = codes(MICRO, 2, 7)
    assert 0 < moved(states(coarse), states(plain)) < 0.015
    fine, rough = values(plain, state), values(coarse, state)
    assert 0 < moved(rough, fine) < 0.01
    levels = MICRO.audio.acoustic_codebook_size
    assert float((quantised(rough, levels) == quantised(fine, levels)).float().mean()) > 0.97
    assert 0 < moved(coarse.decoder.whole(some), plain.decoder.whole(some)) < 0.03
