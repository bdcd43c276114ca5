"""Attention by spans is attention with a mask, on the way there and on the way back."""

import pytest
import torch
from torch import Tensor

from llm_worker.forge.attending import attended, spans


def masked(queries: Tensor, keys: Tensor, values: Tensor, ends: tuple[int, ...]) -> Tensor:
    """The definition: a token sees the beginning and, of its own rest, what is not later."""
    place = torch.arange(ends[-1])
    owner = torch.bucketize(place, torch.tensor(ends), right=True)
    visible = (place[None, :] <= place[:, None]) & ((owner[None, :] == 0) | (owner[None, :] == owner[:, None]))
    scores = (queries @ keys.mT).masked_fill(~visible, -torch.inf)
    return scores.softmax(-1) @ values


@pytest.mark.parametrize("ends", [(1, 2), (7, 12, 13, 30), (300, 310, 340), (600, 620)])
def test_it_is_attention_with_a_mask(ends: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    shapes = ((2, ends[-1], 8), (2, ends[-1], 8), (2, ends[-1], 6))
    given = [torch.randn(shape, dtype=torch.float64).requires_grad_() for shape in shapes]
    out, expected = attended(*given, spans(ends)), masked(*given, ends)
    torch.testing.assert_close(out, expected)
    above = torch.randn_like(out)
    for mine, right in zip(
        torch.autograd.grad(out, given, above), torch.autograd.grad(expected, given, above), strict=True
    ):
        # Gradients of keys and values are summed in float32.
        torch.testing.assert_close(mine, right, rtol=1e-4, atol=1e-5)
