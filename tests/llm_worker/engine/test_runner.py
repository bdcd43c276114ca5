"""Steps on tensors equal the plain model, whoever shares the batch, the blocks or the shape."""

import pytest
import torch

from llm_worker.engine.conversation import Context
from llm_worker.engine.graphs import Buckets
from llm_worker.engine.runner import BROKEN, Runner, groups, worthwhile
from llm_worker.engine.scheduler import Load, Row, Scheduler, Stream, Urgency
from llm_worker.model.config import shipped_config
from tests.llm_worker.engine.support import SIZE, fresh, model, runner, some_blocks, tokenizer

CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def words(count: int, seed: int = 0) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(40, tokenizer().size, (count,), generator=generator).tolist()


class Driver:
    """A scheduler and a runner, driven by hand."""

    def __init__(self, run: Runner | None = None, **load: float) -> None:
        self.runner = run or runner()
        self.blocks = some_blocks(self.runner.pool.slots // SIZE)
        self.scheduler = Scheduler(self.blocks, Load(**load))  # type: ignore[arg-type]
        self.widths: list[int] = []

    def stream(self, ids: list[int]) -> Stream:
        made = Stream(Context(self.blocks))
        made.context.follow(ids)
        return made

    def next_logits(self, *streams: Stream) -> torch.Tensor:
        """Logits [N, V] of what follows each, drawn in as few steps as it takes."""
        for stream in streams:
            self.scheduler.wants(stream, Urgency.ANSWER, answering=True)
        found: dict[Stream, torch.Tensor] = {}
        while len(found) < len(streams):
            plan = self.scheduler.plan()
            assert plan is not None

            def draw(logits: torch.Tensor, rows: list[Row]) -> torch.Tensor:
                found.update({row.stream: line.clone() for row, line in zip(rows, logits, strict=True)})
                return logits.argmax(-1)

            self.widths.append(len(plan.rows))
            tokens = self.runner.step(plan, draw)  # type: ignore[arg-type]
            assert len(tokens) == sum(row.draw for row in plan.rows)
            self.scheduler.done(plan, 0.001)
            for row in plan.rows:
                if row.draw:
                    self.scheduler.rest(row.stream)
        return torch.stack([found[stream] for stream in streams])


@pytest.mark.parametrize("few", [0, 8, 1000])
@pytest.mark.parametrize("chunk", [1, 3, 16, 500])
def test_chunks_in_either_form_equal_a_fresh_prefill(chunk, few):
    run = runner()
    run._few = few
    driver = Driver(run, least_tokens=1, most_tokens=chunk)
    ids = words(37)
    assert torch.allclose(driver.next_logits(driver.stream(ids))[0], fresh(ids), **CLOSE)


@pytest.mark.parametrize(
    "buckets", [None, Buckets((1, 2, 4, 8), (8, 32, 128)), Buckets((1, 4), (16,)), Buckets((8,), (8, 64), 64)]
)
def test_a_batch_equals_each_alone(buckets):
    driver = Driver(runner(buckets=buckets))
    contexts = [words(length, seed=length) for length in (1, 2, 5, 16, 17, 60, 61)]
    streams = [driver.stream(ids) for ids in contexts]
    driver.next_logits(*streams)
    for stream, more in zip(streams, words(7, seed=99), strict=True):
        stream.context.extend(more)
    together = driver.next_logits(*streams)
    assert driver.widths[-1] == 7
    for stream, logits in zip(streams, together, strict=True):
        assert torch.allclose(logits, fresh(stream.context.ids), **CLOSE)


def test_single_tokens_and_a_few_more_are_computed_together():
    driver = Driver()
    streams = [driver.stream(words(length, seed=length)) for length in (20, 31)]
    driver.next_logits(*streams)
    streams[0].context.extend(60)
    streams[1].context.follow([*streams[1].context.ids, 50, 51, 52])
    for stream, logits in zip(streams, driver.next_logits(*streams), strict=True):
        assert torch.allclose(logits, fresh(stream.context.ids), **CLOSE)


def test_shapes_are_the_smallest_that_fit_and_what_is_left_in_them_is_of_no_account():
    buckets = Buckets.up_to(6, 3000, 3000)
    assert buckets == Buckets((1, 2, 4, 6), (512, 2048, 3000), 12_000)
    assert buckets.fitting(3, 512) == (4, 512)
    assert buckets.fitting(7, 1) is buckets.fitting(1, 3001) is buckets.fitting(5, 2049) is None
    assert buckets.shapes[:3] == [(6, 512), (4, 3000), (4, 2048)]
    driver = Driver(runner(buckets=Buckets((4,), (64,))))
    full = [driver.stream(words(50, seed=n)) for n in range(4)]
    driver.next_logits(*full)
    for stream in full:
        stream.context.extend(50)
    driver.next_logits(*full)  # fills the shape
    for stream in full:
        stream.context.follow(stream.context.ids[:3])
        stream.context.extend(60)
    assert torch.allclose(driver.next_logits(full[2])[0], fresh(full[2].context.ids), **CLOSE)


def test_a_shared_beginning_gives_the_same_logits_and_is_not_computed_again():
    driver = Driver()
    prompt = words(21)
    one, two = driver.stream([*prompt, 50]), driver.stream([*prompt, 60])
    first = driver.next_logits(one)[0]
    written = driver.runner.pool.latents.clone()
    second = driver.next_logits(two)[0]
    assert one.context.table[:5] == two.context.table[:5]
    shared = [block * SIZE + offset for block in one.context.table[:5] for offset in range(SIZE)]
    assert torch.equal(driver.runner.pool.latents[:, shared], written[:, shared])
    assert torch.allclose(first, fresh([*prompt, 50]), **CLOSE)
    assert torch.allclose(second, fresh([*prompt, 60]), **CLOSE)


def test_a_cut_inside_a_shared_block_leaves_the_neighbour_as_it_was():
    driver = Driver()
    ids = words(16)
    one, two = driver.stream(ids), driver.stream(ids)
    before = driver.next_logits(one, two)
    two.context.follow([*ids[:14], 50, 51, 52])
    assert torch.allclose(driver.next_logits(two)[0], fresh([*ids[:14], 50, 51, 52]), **CLOSE)
    assert torch.allclose(driver.next_logits(one), before[:1], **CLOSE)


def test_what_was_evicted_is_computed_again():
    driver = Driver(runner(blocks=1 + 12))
    one, other = driver.stream(words(30)), driver.stream(words(30, seed=5))
    first = driver.next_logits(one)
    driver.next_logits(other)
    assert one.context.computed == 0
    assert torch.allclose(driver.next_logits(one), first, **CLOSE)


def test_numbers_that_are_not_finite_break_one_answer_only():
    driver = Driver()
    good, bad = driver.stream(words(9)), driver.stream(words(9, seed=1))
    for stream in (good, bad):
        driver.scheduler.wants(stream, Urgency.ANSWER, answering=True)
    plan = driver.scheduler.plan()
    assert plan is not None

    def draw(logits, rows):
        return logits.argmax(-1)

    driver.runner.step(plan, draw)
    driver.scheduler.done(plan, 0.001)
    driver.runner.pool.latents[:, bad.context.table[0] * SIZE] = torch.nan
    for stream in (good, bad):
        stream.context.extend(60)
    plan = driver.scheduler.plan()
    assert plan is not None
    tokens = driver.runner.step(plan, draw)
    assert tokens == [int(fresh(good.context.ids).argmax()), BROKEN]
    assert driver.runner.pool.latents[:, :SIZE].isfinite().all()


def test_rows_are_grouped_so_that_no_more_than_half_is_padding():
    def rows(*lengths: int) -> list[Row]:
        stream = Stream(Context(some_blocks()))
        return [Row(stream, 0, (1,) * length, (1,), True, False) for length in lengths]

    assert groups(rows(1, 9, 1, 4, 5, 8, 30)) == [[0, 2], [3, 4, 5], [1], [6]]
    assert groups(rows(1, 3, 1, 2), little=8) == [[0, 2, 3], [1]]
    assert groups(rows(4, 1), little=8) == [[1, 0]]
    assert groups(rows(1, 5), little=8) == [[0], [1]]


def test_the_absorbed_form_pays_up_to_about_150_tokens_of_the_published_model():
    assert worthwhile(shipped_config("119b")) == 153
    assert worthwhile(model().config) == 1 << 30  # the nano model's latents are so small that it always does
