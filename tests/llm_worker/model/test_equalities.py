"""Two ways to the same states."""

import pytest
import torch
from torch import Tensor

from llm_worker.model.attention import Form
from llm_worker.model.cache import Batch, LatentPool
from llm_worker.model.experts import ExpertForm
from llm_worker.model.network import build
from tests.llm_worker.model.support import BLOCK, NANO, model, pool_for, run, tokens

FORMS: tuple[Form, ...] = ("expanded", "absorbed")
EXPERTS: tuple[ExpertForm, ...] = ("loop", "gathered", "grouped", "rounded")
LENGTH = 70  # beyond a step of temperature
CUTS = ([LENGTH], [20, 21, 40, LENGTH], list(range(1, LENGTH + 1)))


@pytest.mark.parametrize("cuts", CUTS, ids=("whole", "pieces", "one by one"))
@pytest.mark.parametrize("experts", EXPERTS)
@pytest.mark.parametrize("form", FORMS)
@torch.inference_mode()
def test_cached_in_any_pieces_equals_at_once(form: Form, experts: ExpertForm, cuts: list[int]) -> None:
    m = model()
    ids = tokens(LENGTH, rows=2)
    wanted = m.whole(ids)
    m.expert_form = experts
    torch.testing.assert_close(run(m, ids, cuts, form), wanted, atol=2e-5, rtol=0)


@pytest.mark.parametrize("form", FORMS)
@torch.inference_mode()
def test_rows_of_different_lengths_do_not_see_each_other(form: Form) -> None:
    """Right-padded rows, one of them all padding; slots and scratch full of large numbers."""
    m = model()
    ids = tokens(24, rows=3)
    lengths = [24, 9, 0]
    pool, slots = pool_for(3, 24)
    pool.latents.fill_(1e3)
    real = torch.arange(24) < torch.tensor(lengths)[:, None]
    scratch = torch.arange(24) % BLOCK
    padded = torch.where(real, slots, scratch)
    batch = Batch(
        torch.where(real, ids, 7),
        torch.where(real, torch.arange(24), 0),
        padded,
        padded,
        torch.tensor(lengths),
    )
    states = m(batch, pool, form)
    assert states.isfinite().all()
    for row, length in enumerate(lengths[:2]):
        alone = m.whole(ids[row : row + 1, :length])[0]
        torch.testing.assert_close(states[row, :length], alone, atol=2e-5, rtol=0)


def on_meta(form: Form, experts: ExpertForm | None) -> Tensor:
    """A pass on a device without values, where what asks for one fails."""
    m = build(NANO, torch.bfloat16, "meta")
    m.expert_form = experts
    pool = LatentPool(NANO, 4, BLOCK, torch.bfloat16, "meta")
    batch = Batch(
        *(torch.zeros(shape, dtype=torch.long, device="meta") for shape in ((2, 3), (2, 3), (2, 3), (2, 9), 2))
    )
    return m.logits(m(batch, pool, form)[:, -1])


@pytest.mark.parametrize("experts", ["gathered", "grouped", None])
@pytest.mark.parametrize("form", FORMS)
@torch.inference_mode()
def test_a_pass_waits_for_no_value(form: Form, experts: ExpertForm | None) -> None:
    """So it can be captured as a graph; the loop over experts cannot."""
    assert on_meta(form, experts).shape == (2, NANO.vocab_size)
    with pytest.raises((NotImplementedError, RuntimeError)):
        on_meta(form, "loop")


def test_gradients_are_the_same_in_either_form() -> None:
    gradients = []
    forms: tuple[ExpertForm, ...] = ("loop", "grouped")
    for experts in forms:
        m = model()
        m.expert_form = experts
        m.logits(m.whole(tokens(24))[0]).logsumexp(-1).sum().backward()
        gradients.append({name: parameter.grad for name, parameter in m.named_parameters()})
    assert all(gradient is not None for gradient in gradients[0].values())
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-4, rtol=1e-4)
