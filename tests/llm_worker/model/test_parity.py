"""Logits are equal to those of the transformers library."""

import pytest
import torch
from torch.nn import functional

from llm_worker.model.attention import Form
from llm_worker.model.config import parse_config
from llm_worker.model.experts import ExpertForm
from llm_worker.model.network import build
from tests.llm_worker.model.reference import TOLERANCE, difference, wanted
from tests.llm_worker.model.support import NANO, model, run, tokens

SHORT, OFFSET = 200, 1000
"""200 tokens cross three steps of temperature, whose length is 64; the offset is fifteen of them on."""
TIED = parse_config(NANO.model_dump() | {"tied_embeddings": True}, "tied")


@pytest.mark.parametrize("expert_form", ["loop", "gathered", "grouped", "rounded"])
@pytest.mark.parametrize("form", ["expanded", "absorbed"])
@torch.inference_mode()
def test_logits_are_those_of_transformers(form: Form, expert_form: ExpertForm) -> None:
    m = model()
    m.expert_form = expert_form
    right = wanted(OFFSET + SHORT)
    states = run(m, tokens(OFFSET + SHORT), [SHORT, OFFSET, OFFSET + SHORT], form)[0]
    assert right.abs().max() > 3
    assert difference(m, states[:SHORT], right[:SHORT]) < TOLERANCE
    assert difference(m, states[OFFSET:], right[OFFSET:]) < TOLERANCE


@torch.inference_mode()
def test_with_tied_embeddings() -> None:
    m = model(config=TIED)
    assert difference(m, m.whole(tokens(SHORT))[0], wanted(SHORT, TIED)) < TOLERANCE


@pytest.mark.parametrize("form", ["expanded", "absorbed"])
@torch.inference_mode()
def test_bfloat16_is_near(form: Form) -> None:
    """Not a matter of equality: a near tie between experts may go either way."""
    small = build(NANO, torch.bfloat16, "cpu")
    small.load_state_dict(model().state_dict())
    made = small.logits(run(small, tokens(SHORT), [SHORT], form)[0]).log_softmax(-1)
    right = wanted(SHORT).log_softmax(-1)
    divergence = functional.kl_div(made, right, reduction="none", log_target=True).sum(-1)
    assert divergence.median() < 5e-4
