"""The model against the plain mathematics; and deliberate mistakes, each of which these checks must see."""

from collections.abc import Callable

import pytest
import torch

from tests.tts_worker.model.agreement import CHECKS
from tests.tts_worker.model.mistakes import MISTAKES, Patch
from tests.tts_worker.model.support import model
from tts_worker.model.network import Voxtral, compute_tables


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@torch.inference_mode()
def test_the_model_computes_what_the_plain_mathematics_does(check: Callable[[Voxtral], bool]) -> None:
    assert check(model())


@pytest.mark.parametrize(("mistake", "check"), MISTAKES, ids=lambda value: value.__name__)
@torch.inference_mode()
def test_a_mistake_is_seen(
    mistake: Callable[[Patch], None], check: Callable[[Voxtral], bool], monkeypatch: Patch
) -> None:
    mistake(monkeypatch)
    wrong = model()
    compute_tables(wrong)
    try:
        assert not check(wrong)
    finally:
        monkeypatch.undo()
