"""Deliberate mistakes in the mathematics: each makes other logits than the transformers library."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from llm_worker.model import experts, positions
from llm_worker.model.attention import Attention
from llm_worker.model.cache import Batch
from llm_worker.model.config import Config
from llm_worker.model.experts import ExpertForm, Experts, Router, SparseFeedForward
from llm_worker.model.layers import FeedForward, RMSNorm
from llm_worker.model.network import Decoder
from llm_worker.model.positions import Places
from tests.llm_worker.model.reference import TOLERANCE, difference, wanted
from tests.llm_worker.model.support import NANO, model, run, tokens

SHORT = 200
"""Tokens: they cross three steps of temperature, whose length is 64."""

Patch = pytest.MonkeyPatch


def agrees(m: Decoder) -> bool:
    return difference(m, m.whole(tokens(SHORT))[0], wanted(SHORT)) < TOLERANCE


def absorbed_agrees(m: Decoder) -> bool:
    return difference(m, run(m, tokens(SHORT), [SHORT], "absorbed")[0], wanted(SHORT)) < TOLERANCE


def cached_agrees(m: Decoder) -> bool:
    return difference(m, run(m, tokens(SHORT), [90, SHORT], "expanded")[0], wanted(SHORT)) < TOLERANCE


def magnitude_in_the_softmax(patch: Patch) -> None:
    wrong = NANO.softmax_scale * 2.2058
    patch.setattr(Config, "softmax_scale", property(lambda self: wrong))


def scale_of_the_wider_products(patch: Patch) -> None:
    right = Attention.absorbed

    def absorbed(self: Attention, still: Tensor, turning: Tensor, latents: Tensor, mask: Tensor) -> Tensor:
        self._scale = latents.shape[-1] ** -0.5
        return right(self, still, turning, latents, mask)

    patch.setattr(Attention, "absorbed", absorbed)


def half_split_rotary(patch: Patch) -> None:
    def turned(self: Places, x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=-1)
        both = torch.complex(first, second) * self.rotation
        return torch.cat((both.real, both.imag), dim=-1)

    patch.setattr(Places, "turned", turned)


def no_rotary(patch: Patch) -> None:
    patch.setattr(Places, "turned", lambda self, x: x)


def magnitude_in_the_rotation(patch: Patch) -> None:
    right = Places.turned
    patch.setattr(Places, "turned", lambda self, x: 1.2 * right(self, x))


def no_stretched_frequencies(patch: Patch) -> None:
    right = positions.frequencies
    patch.setattr(
        positions, "frequencies", lambda dim, theta, yarn: right(dim, theta, yarn.model_copy(update={"factor": 1.0}))
    )


def every_frequency_stretched(patch: Patch) -> None:
    right = positions.frequencies
    plain = {"factor": 1.0}
    patch.setattr(
        positions,
        "frequencies",
        lambda dim, theta, yarn: right(dim, theta, yarn.model_copy(update=plain)) / yarn.factor,
    )


def no_temperature(patch: Patch) -> None:
    made = Places.__init__
    patch.setattr(Places, "__init__", lambda self, rotation, t: made(self, rotation, torch.ones_like(t)))


def smooth_temperature(patch: Patch) -> None:
    patch.setattr(torch, "floor", lambda x: x)


def temperature_of_the_place_in_the_pass(patch: Patch) -> None:
    right = positions.Positions.forward

    def forward(self: positions.Positions, tokens: Tensor) -> Places:
        places = right(self, tokens)
        return Places(places.rotation, right(self, tokens - tokens[:, :1]).temperature)

    patch.setattr(positions.Positions, "forward", forward)


def temperature_without_the_rotated_lanes(patch: Patch) -> None:
    right = Places.turned
    patch.setattr(
        Places,
        "turned",
        lambda self, x: right(self, torch.cat((x[:, :, :-1] / self.temperature[..., None], x[:, :, -1:]), 2)),
    )


def latent_norm_over_the_key(patch: Patch) -> None:
    right = Attention.project

    def project(self: Attention, x: Tensor, places: Places) -> tuple[Tensor, Tensor, Tensor]:
        still, turning, latents = right(self, x, places)
        rank = self._rank
        key = functional.rms_norm(latents[..., rank:], (latents.shape[-1] - rank,))
        return still, turning, torch.cat((latents[..., :rank], key), dim=-1)

    patch.setattr(Attention, "project", project)


def keys_of_all_heads_before_values(patch: Patch) -> None:
    right = Attention.expanded

    def expanded(self: Attention, *arguments: Tensor) -> Tensor:
        weight = self.keys_values.weight
        keys = weight[: self._heads * self._nope].unflatten(0, (self._heads, -1))
        values = weight[self._heads * self._nope :].unflatten(0, (self._heads, -1))
        self.keys_values.weight = torch.nn.Parameter(torch.cat((keys, values), dim=1).flatten(0, 1))
        return right(self, *arguments)

    patch.setattr(Attention, "expanded", expanded)


def router_without_renormalisation(patch: Patch) -> None:
    def forward(self: Router, x: Tensor) -> tuple[Tensor, Tensor]:
        weights, chosen = functional.linear(x, self.weight).softmax(-1).topk(self._chosen, dim=-1)
        return weights, chosen

    patch.setattr(Router, "forward", forward)


def router_with_sigmoid(patch: Patch) -> None:
    def forward(self: Router, x: Tensor) -> tuple[Tensor, Tensor]:
        weights, chosen = functional.linear(x, self.weight).sigmoid().topk(self._chosen, dim=-1)
        return weights / weights.sum(-1, keepdim=True), chosen

    patch.setattr(Router, "forward", forward)


def one_expert_too_few(patch: Patch) -> None:
    right = Router.forward
    patch.setattr(Router, "forward", lambda self, x: tuple(part[:, :-1] for part in right(self, x)))


def no_shared_expert(patch: Patch) -> None:
    patch.setattr(FeedForward, "forward", lambda self, x: torch.zeros_like(x))


def shared_expert_with_a_gate(patch: Patch) -> None:
    right = FeedForward.forward
    patch.setattr(FeedForward, "forward", lambda self, x: right(self, x) * x.mean(-1, keepdim=True).sigmoid())


def dense_first_layer(patch: Patch) -> None:
    right = SparseFeedForward.forward
    calls = []

    def forward(self: SparseFeedForward, x: Tensor, form: ExpertForm | None = None) -> Tensor:
        calls.append(self)
        return self.shared(x) if self is calls[0] else right(self, x, form)

    patch.setattr(SparseFeedForward, "forward", forward)


def up_before_gate(patch: Patch) -> None:
    right = experts.gated
    patch.setattr(experts, "gated", lambda x: right(x.roll(x.shape[-1] // 2, dims=-1)))


def experts_unsorted(patch: Patch) -> None:
    right = Experts._grouped
    patch.setattr(Experts, "_grouped", lambda self, x, chosen: right(self, x, chosen).flip(1))


def norm_after_the_layer(patch: Patch) -> None:
    right = SparseFeedForward.forward
    patch.setattr(
        SparseFeedForward, "forward", lambda self, x, form=None: functional.rms_norm(right(self, x, form), x.shape[-1:])
    )


def norm_without_the_mean(patch: Patch) -> None:
    patch.setattr(RMSNorm, "forward", lambda self, x: x / x.norm(dim=-1, keepdim=True) * self.weight)


def future_seen(patch: Patch) -> None:
    right = Batch.mask
    patch.setattr(Batch, "mask", lambda self, dtype: right(self, dtype).clamp(min=0))


def own_key_unseen(patch: Patch) -> None:
    def mask(self: Batch, dtype: torch.dtype) -> Tensor:
        places = torch.arange(self.read.shape[1])
        seen = places < self.positions.clamp(min=1)[:, :, None]
        return torch.zeros(()).where(seen, -torch.inf)

    patch.setattr(Batch, "mask", mask)


MISTAKES = (
    (magnitude_in_the_softmax, agrees),
    (magnitude_in_the_softmax, absorbed_agrees),
    (scale_of_the_wider_products, absorbed_agrees),
    (half_split_rotary, agrees),
    (no_rotary, agrees),
    (magnitude_in_the_rotation, agrees),
    (no_stretched_frequencies, agrees),
    (every_frequency_stretched, agrees),
    (no_temperature, agrees),
    (smooth_temperature, agrees),
    (temperature_of_the_place_in_the_pass, cached_agrees),
    (temperature_without_the_rotated_lanes, agrees),
    (latent_norm_over_the_key, agrees),
    (keys_of_all_heads_before_values, agrees),
    (router_without_renormalisation, agrees),
    (router_with_sigmoid, agrees),
    (one_expert_too_few, agrees),
    (no_shared_expert, agrees),
    (shared_expert_with_a_gate, agrees),
    (dense_first_layer, agrees),
    (up_before_gate, agrees),
    (experts_unsorted, agrees),
    (norm_after_the_layer, agrees),
    (norm_without_the_mean, agrees),
    (future_seen, cached_agrees),
    (own_key_unseen, cached_agrees),
)


@pytest.mark.parametrize("check", [agrees, absorbed_agrees, cached_agrees], ids=lambda check: check.__name__)
@torch.inference_mode()
def test_without_a_mistake_the_checks_agree(check: Callable[[Decoder], bool]) -> None:
    assert check(model())


@pytest.mark.parametrize(("mistake", "check"), MISTAKES, ids=lambda value: value.__name__)
@torch.inference_mode()
def test_a_mistake_is_seen(
    mistake: Callable[[Patch], None], check: Callable[[Decoder], bool], monkeypatch: Patch
) -> None:
    wanted(SHORT)
    mistake(monkeypatch)
    wrong = model()
    try:
        assert not check(wrong)
    finally:
        monkeypatch.undo()
