"""Muon: steps are orthogonal, of AdamW's size, and each of several stacked matrices has its own."""

import pytest
import torch
from torch import nn

from training.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(8, 64), (64, 8), (3, 16, 40)])
def test_singular_values_come_near_one(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape) * 1e-3
    values = torch.linalg.svdvals(orthogonal(x))
    assert 0.9 < float(values.min()) <= float(values.max()) < 1.1


def test_the_nearest_orthogonal_matrix_is_that_of_the_singular_vectors() -> None:
    torch.manual_seed(1)
    x = torch.randn(12, 40)
    left, _, right = torch.linalg.svd(x, full_matrices=False)
    torch.testing.assert_close(orthogonal(x), left @ right, atol=0.05, rtol=0)


def test_zeros_stay_zeros() -> None:
    assert not orthogonal(torch.zeros(4, 5)).any()


def test_stacked_matrices_are_apart() -> None:
    torch.manual_seed(2)
    upper, lower = torch.randn(6, 10), torch.randn(6, 10)
    together, alone = nn.Parameter(torch.zeros(12, 10)), nn.Parameter(torch.zeros(6, 10))
    together.grad, alone.grad = torch.cat((upper, 100 * lower)), upper.clone()
    Muon([{"params": [together], "stacked": 2}], 0.1).step()
    Muon([{"params": [alone]}], 0.1).step()
    torch.testing.assert_close(together[:6], alone)


def test_a_step_has_the_size_that_the_rate_says() -> None:
    torch.manual_seed(3)
    weight = nn.Parameter(torch.zeros(64, 64))
    weight.grad = torch.randn(64, 64)
    Muon([{"params": [weight]}], 0.5).step()
    assert float(weight.detach().square().mean().sqrt()) == pytest.approx(0.5 * 0.2, rel=0.1)


def test_a_quadratic_is_solved() -> None:
    torch.manual_seed(4)
    weight, wanted = nn.Parameter(torch.zeros(10, 10)), torch.randn(10, 10)
    muon = Muon([{"params": [weight]}], 0.3)
    for step in range(200):
        muon.param_groups[0]["lr"] = 0.3 * (1 - step / 200)
        muon.zero_grad()
        (weight - wanted).square().sum().backward()  # type: ignore[no-untyped-call]
        muon.step()
    assert float((weight - wanted).detach().abs().max()) < 0.05
