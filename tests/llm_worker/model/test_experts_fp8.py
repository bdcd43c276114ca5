"""Experts in 8 bits equal those in 32 with the same rounded weights."""

import torch

from llm_worker.model.experts_fp8 import Fp8Experts, build_in_fp8
from tests.llm_worker.model.support import NANO, model


def test_they_are_the_others_with_rounded_weights():
    experts = model().layers[0].feed_forward.experts
    rounded = Fp8Experts(NANO)
    rounded.take(experts)
    with torch.no_grad():
        for name in ("gate_up", "down"):
            was = getattr(experts, name).clone()
            getattr(experts, name).copy_(
                getattr(rounded, name).float() * getattr(rounded, f"{name}_scale").unsqueeze(2)
            )
            assert 0 < (was - getattr(experts, name)).abs().max() < was.abs().max() / 8
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(9, NANO.dim, generator=generator)
        weights, chosen = model().layers[0].feed_forward.router(x)
        expected = experts(x, weights, chosen, "loop")
        assert torch.allclose(rounded(x, weights, chosen), expected, atol=1e-5)


def test_a_model_with_them_has_the_shape_of_the_others():
    made = build_in_fp8(NANO, "meta")
    experts = made.layers[0].feed_forward.experts
    assert experts.gate_up.shape == model().layers[0].feed_forward.experts.gate_up.shape
    assert experts.gate_up.dtype == torch.float8_e4m3fn
    assert made.layers[0].attention.out.weight.dtype == torch.bfloat16
