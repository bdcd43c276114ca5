"""How ids are drawn: with the right probability, by each parameter, and by nothing else that is in the batch."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from llm_worker.engine.sampling import WINDOW, sample

SIZE = 300


def logits(rows: int, size: int = SIZE, seed: int = 0) -> Tensor:
    return torch.randn(rows, size, generator=torch.Generator().manual_seed(seed)) * 1.5


def columns(rows: int, **values: float) -> dict[str, Tensor]:
    return {name: torch.full((rows,), value) for name, value in values.items()}


def drawn(row: Tensor, count: int, temperature: float = 1.0, seed: int = 7, **parameters: float) -> Tensor:
    """How often each id comes in `count` draws of one generation."""
    ids = sample(
        row.expand(count, -1),
        torch.full((count,), temperature),
        torch.full((count,), seed),
        torch.arange(count),
        **columns(count, **parameters),
    )
    return torch.bincount(ids, minlength=len(row))


def chi_square(counts: Tensor, probability: Tensor) -> float:
    """Pearson's statistic, less its expectation, in standard deviations. Ids that are seldom count as one."""
    often = probability * counts.sum() >= 10
    seen = torch.cat([counts[often], counts[~often].sum()[None]]).double()
    expected = torch.cat([probability[often], probability[~often].sum()[None]]).double() * counts.sum()
    terms = ((seen - expected) ** 2 / expected)[expected > 0]
    freedom = len(terms) - 1
    return float(terms.sum() - freedom) / math.sqrt(2 * freedom)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.7])
def test_ids_come_as_often_as_they_are_likely(temperature: float) -> None:
    row = logits(1)[0]
    counts = drawn(row, 20_000, temperature)
    assert abs(chi_square(counts, (row / temperature).softmax(-1))) < 4
    assert abs(chi_square(counts, (row / temperature / 1.15).softmax(-1))) > 4  # it sees a small difference


def test_seldom_ids_come_as_often_as_they_should() -> None:
    """One draw of twenty is among 4,000 ids of which each is most unlikely."""
    row = torch.full((4001,), math.log(0.05 / 4000))
    row[0] = math.log(0.95)
    counts = drawn(row, 4000)
    assert abs(counts[1:].sum().item() - 200) < 4 * math.sqrt(200)
    assert counts[1:].max() <= 3


def test_seeds_and_counters_are_independent_draws() -> None:
    row = logits(1, 8)[0]
    count = 20_000
    seeds = sample(
        row.expand(count, -1), torch.ones(count), torch.arange(count) - count // 2, torch.zeros(count).long()
    )
    assert abs(chi_square(torch.bincount(seeds, minlength=8), row.softmax(-1))) < 4
    pairs = torch.stack([seeds[:-1], seeds[1:]])
    joint = torch.bincount(pairs[0] * 8 + pairs[1], minlength=64)
    assert abs(chi_square(joint, torch.outer(row.softmax(-1), row.softmax(-1)).flatten())) < 4


def test_temperature_zero_is_the_likeliest_id() -> None:
    rows = logits(50)
    seeds = torch.arange(50)
    assert torch.equal(sample(rows, torch.zeros(50), seeds, seeds), rows.argmax(-1))
    near = sample(rows, torch.full((50,), 1e-4), seeds, seeds)
    assert torch.equal(near, rows.argmax(-1))


@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9])
def test_top_p_keeps_the_likeliest_ids_that_reach_it(top_p: float) -> None:
    row = logits(1)[0]
    order = row.argsort(descending=True)
    mass = row.softmax(-1)[order].cumsum(-1)
    kept = int((mass < top_p).sum()) + 1
    counts = drawn(row, 20_000, top_p=top_p)
    assert set(counts.nonzero()[:, 0].tolist()) <= set(order[:kept].tolist())
    limited = torch.full_like(row, -math.inf)
    limited[order[:kept]] = row[order[:kept]]
    if kept == 1:
        assert counts[order[0]] == 20_000
    else:
        assert abs(chi_square(counts, limited.softmax(-1))) < 4


def test_top_p_takes_all_that_are_as_likely_as_the_last() -> None:
    counts = drawn(torch.tensor([2.0, 1.0, 1.0, 1.0, -3.0]), 2000, top_p=0.5)
    assert (counts > 0).tolist() == [True, True, True, True, False]


def test_top_p_one_and_min_p_zero_change_nothing() -> None:
    rows, seeds = logits(200), torch.arange(200)
    plain = sample(rows, torch.ones(200), seeds, seeds)
    assert torch.equal(sample(rows, torch.ones(200), seeds, seeds, **columns(200, top_p=1.0, min_p=0.0)), plain)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_min_p_is_a_share_of_the_likeliest(temperature: float) -> None:
    row = logits(1)[0]
    probability = (row / temperature).softmax(-1)
    kept = probability >= 0.1 * probability.max()
    assert 1 < kept.sum() < 150
    counts = drawn(row, 20_000, temperature, min_p=0.1)
    limited = row.masked_fill(~kept, -math.inf) / temperature
    assert not counts[~kept].any()
    assert abs(chi_square(counts, limited.softmax(-1))) < 4
    only = drawn(row, 100, temperature, min_p=1.0)
    assert only[row.argmax()] == 100


def test_a_row_of_no_numbers_does_not_hurt_its_neighbours() -> None:
    rows, seeds = logits(3), torch.arange(3)
    parameters = columns(3, top_p=0.9, min_p=0.1)
    whole = sample(rows, torch.ones(3), seeds, seeds, **parameters)
    for broken in (math.nan, -math.inf):
        rows[1] = broken
        ids = sample(rows, torch.ones(3), seeds, seeds, recent=torch.full((3, WINDOW), -1), **parameters)
        assert torch.equal(ids[::2], whole[::2])
        assert 0 <= ids[1] < SIZE


def words(allowed: Tensor) -> Tensor:
    """Bools [N, V] → bits [N, ⌈V/32⌉]."""
    padded = torch.nn.functional.pad(allowed, (0, -allowed.shape[1] % 32))
    return torch.from_numpy(np.packbits(padded.numpy(), axis=-1, bitorder="little").view(np.int32))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_masked_ids_never_come(temperature: float) -> None:
    rows = logits(500)
    allowed = torch.rand(500, SIZE, generator=torch.Generator().manual_seed(1)) < 0.02
    allowed[torch.arange(500), torch.arange(500) % SIZE] = True
    numbers = torch.arange(500)
    ids = sample(rows, torch.full((500,), temperature), numbers, numbers, mask=words(allowed))
    assert allowed[numbers, ids].all()
    best = rows.masked_fill(~allowed, -math.inf).argmax(-1)
    assert torch.equal(ids, best) is (temperature == 0)


def test_an_id_that_is_alone_comes_whatever_the_parameters() -> None:
    rows, numbers = logits(300), torch.arange(300)
    alone = torch.zeros(300, SIZE, dtype=torch.bool)
    alone[numbers, numbers] = True
    ids = sample(rows, torch.ones(300), numbers, numbers, mask=words(alone), **columns(300, top_p=0.1, min_p=0.9))
    assert torch.equal(ids, numbers)


def past(*ids: int) -> Tensor:
    """The last ids of an answer, as `recent` wants them."""
    window = [-1] * WINDOW + list(ids)
    return torch.tensor(window[-WINDOW:])[None]


def likeliest(row: Tensor, recent: Tensor, mask: Tensor | None = None) -> int:
    zero = torch.zeros(1)
    return int(sample(row[None], zero, zero.long(), zero.long(), recent=recent, mask=mask))


@pytest.mark.parametrize(
    ("span", "copies"), [([5], 24), ([5, 6], 12), ([5, 6, 7], 8), (list(range(10, 16)), 4), (list(range(16)), 4)]
)
def test_a_loop_is_left(span: list[int], copies: int) -> None:
    row = torch.zeros(SIZE)
    row[span[-1]] = 9.0
    loop = (span * copies)[:-1]
    row[77] = 1.0
    assert likeliest(row, past(*loop)) == 77
    assert likeliest(row, past(*loop[1:])) == span[-1]
    assert likeliest(row, past(200, *loop[1:])) == span[-1]
    row[77], row[78] = 0.0, 10.0
    assert likeliest(row, past(*loop)) == 78  # what is no loop is not touched


def test_the_guard_knows_only_what_was_said() -> None:
    row = torch.zeros(SIZE)
    row[0] = 9.0
    assert likeliest(row, past()) == 0
    assert likeliest(row, past(*[0] * 22)) == 0
    assert likeliest(row, past(*[0] * 23)) != 0


def test_the_guard_gives_way_to_the_grammar() -> None:
    only = torch.zeros(1, SIZE, dtype=torch.bool)
    only[0, 5] = True
    assert likeliest(torch.zeros(SIZE), past(*[5] * 40), words(only)) == 5


def test_nothing_waits_for_the_device() -> None:
    """Tensors without contents: what asked for one would fail."""
    numbers = torch.zeros(4, dtype=torch.int64, device="meta")
    share = torch.zeros(4, device="meta")
    mask = torch.zeros(4, -(-SIZE // 32), dtype=torch.int32, device="meta")
    recent = torch.zeros(4, WINDOW, dtype=torch.int64, device="meta")
    row = torch.zeros(4, SIZE, device="meta")
    ids = sample(row, share, numbers, numbers, top_p=share, min_p=share, mask=mask, recent=recent)
    assert (ids.shape, ids.dtype) == ((4,), torch.int64)


def batches() -> dict[str, Callable[[int], dict[str, Tensor]]]:
    """Parameters that differ from row to row."""
    generator = torch.Generator().manual_seed(3)
    allowed = torch.rand(16, SIZE, generator=generator) < 0.5
    recent = torch.randint(0, 3, (16, WINDOW), generator=generator)
    recent[::2] = 1
    return {
        "plain": lambda row: {},
        "top_p": lambda row: {"top_p": torch.linspace(0.1, 1, 16)[row : row + 1]},
        "min_p": lambda row: {"min_p": torch.linspace(0, 0.5, 16)[row : row + 1]},
        "mask": lambda row: {"mask": words(allowed)[row : row + 1]},
        "recent": lambda row: {"recent": recent[row : row + 1]},
    }


@pytest.mark.parametrize("which", [*batches(), "all"])
def test_in_a_batch_as_alone(which: str) -> None:
    rows = logits(16)
    temperature = torch.linspace(0, 1.5, 16)
    seeds, counters = torch.arange(16) * 1_000_003 - 5, torch.arange(16) * 7
    chosen = [make for name, make in batches().items() if which in (name, "all")]
    alone, parameters = [], []
    for row in range(16):
        parameters.append({name: value for make in chosen for name, value in make(row).items()})
        one = slice(row, row + 1)
        alone.append(sample(rows[one], temperature[one], seeds[one], counters[one], **parameters[-1]))
    together = {name: torch.cat([each[name] for each in parameters]) for name in parameters[0]}
    assert torch.equal(sample(rows, temperature, seeds, counters, **together), torch.cat(alone))
    order = torch.arange(15, -1, -1)
    turned = {name: value[order] for name, value in together.items()}
    assert torch.equal(
        sample(rows[order], temperature[order], seeds[order], counters[order], **turned), torch.cat(alone)[order]
    )
