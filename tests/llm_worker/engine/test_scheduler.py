"""Bookkeeping of the cache: whatever conversations do, a step reads what was computed for the same tokens."""

import random
from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llm_worker.engine.blocks import SCRATCH, Blocks
from llm_worker.engine.conversation import Context
from llm_worker.engine.pace import StepTime
from llm_worker.engine.scheduler import Load, Plan, Row, Scheduler, Stream, Urgency
from services.errors import Busy

IDS = st.lists(st.integers(1, 2), max_size=14)
SIZE = 4


class Memory:
    """A cache in which each slot remembers the whole context that it was computed for."""

    def __init__(self, blocks: Blocks) -> None:
        self._size = blocks.size
        self.slots: list[object] = [None] * (blocks.count * blocks.size)
        self.written = 0

    def slot(self, table: tuple[int, ...], position: int) -> int:
        return table[position // self._size] * self._size + position % self._size

    def run(self, plan: Plan) -> None:
        """What the device does, and that it reads nothing else than it should."""
        before = list(self.slots)
        for copy in plan.copies:
            for offset in range(self._size):
                self.slots[copy.target * self._size + offset] = before[copy.source * self._size + offset]
        for row in plan.rows:
            assert SCRATCH not in row.table
            whole = self.context_of(row)
            for position in range(row.start + (not row.write)):
                assert self.slots[self.slot(row.table, position)] == whole[: position + 1]
            if row.write:
                for position in range(row.start, row.start + len(row.ids)):
                    self.slots[self.slot(row.table, position)] = whole[: position + 1]
                self.written += len(row.ids)

    @staticmethod
    def context_of(row: Row) -> tuple[int, ...]:
        ids = row.stream.context.ids[: row.start]
        return (*ids, *row.ids)


class AnyConversations(RuleBasedStateMachine):
    """Conversations that grow, are cut, answered, and vanish, with hardly enough blocks for two of them."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = Blocks(9, SIZE)
        self.memory = Memory(self.blocks)
        load = Load(rows=2, least_tokens=3, most_tokens=5, answer_tokens=4)
        self.scheduler = Scheduler(self.blocks, load)
        self.streams: list[Stream] = []
        self.under_way: Plan | None = None

    @precondition(lambda self: len(self.streams) < 4)
    @rule(ids=IDS)
    def open(self, ids: list[int]) -> None:
        self.streams.append(Stream(Context(self.blocks)))
        self._follow(self.streams[-1], ids)

    @precondition(lambda self: self.streams)
    @rule(data=st.data(), keep=st.integers(0, 20), more=IDS, answering=st.booleans())
    def change(self, data: st.DataObject, keep: int, more: list[int], answering: bool) -> None:
        stream = data.draw(st.sampled_from(self.streams))
        self._follow(stream, [*stream.context.ids[:keep], *more][: 7 * SIZE], answering)

    def _follow(self, stream: Stream, ids: list[int], answering: bool = False) -> None:
        stream.context.follow(ids)
        assert stream.context.ids == ids
        with suppress(Busy):
            self.scheduler.wants(stream, Urgency.ANSWER if answering else Urgency.SPEECH, answering and bool(ids))

    @precondition(lambda self: self.streams)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        self.scheduler.rest(data.draw(st.sampled_from(self.streams)))

    @precondition(lambda self: self.streams)
    @rule(data=st.data())
    def pause(self, data: st.DataObject) -> None:
        stream = data.draw(st.sampled_from(self.streams))
        stream.paused = not stream.paused

    @precondition(lambda self: self.streams)
    @rule(data=st.data())
    def vanish(self, data: st.DataObject) -> None:
        stream = data.draw(st.sampled_from(self.streams))
        self.streams.remove(stream)
        self.scheduler.leave(stream)
        assert not stream.context.table

    @precondition(lambda self: self.under_way is None)
    @rule()
    def begin_step(self) -> None:
        self.under_way = self.scheduler.plan()
        if self.under_way is not None:
            self.memory.run(self.under_way)
        else:
            assert all(stream.complete or stream.paused for stream in self.scheduler._working)

    @precondition(lambda self: self.under_way is not None)
    @rule(token=st.integers(1, 2))
    def end_step(self, token: int) -> None:
        plan, self.under_way = self.under_way, None
        assert plan is not None
        self.scheduler.done(plan, 0.001)
        for row in plan.rows:
            whole = [*row.stream.context.ids]
            if row.draw and row.stream.answering and len(whole) == row.start + len(row.ids) < 7 * SIZE:
                row.stream.context.extend(token)

    @invariant()
    def what_counts_as_computed_is_there(self) -> None:
        for stream in self.streams:
            context = stream.context
            for position in range(context.computed):
                slot = self.memory.slot(tuple(context.table), position)
                assert self.memory.slots[slot] == tuple(context.ids[: position + 1])

    @invariant()
    def each_block_is_somewhere_once(self) -> None:
        held = Counter(block for stream in self.streams for block in stream.context.table)
        assert all(self.blocks.holders(block) == times for block, times in held.items())
        assert self.blocks.available + len(held) == self.blocks.capacity
        assert SCRATCH not in held

    @invariant()
    def the_parent_of_what_can_be_found_can_be_found(self) -> None:
        serials = set(self.blocks._serial.values())
        assert all(parent == 0 or parent in serials for parent, _ in self.blocks._published)


TestAnyConversations = AnyConversations.TestCase
TestAnyConversations.settings = settings(max_examples=150, stateful_step_count=40)


def scheduler(blocks: int = 33, **load: float) -> Scheduler:
    return Scheduler(Blocks(blocks, SIZE), Load(**{"answer_tokens": 4} | load))  # type: ignore[arg-type]


def stream(of: Scheduler, ids: list[int], urgency: Urgency = Urgency.SPEECH, answering: bool = False) -> Stream:
    made = Stream(Context(of.blocks))
    made.context.follow(ids)
    of.wants(made, urgency, answering)
    return made


def run(of: Scheduler, most: int = 1000) -> int:
    """Steps until nothing is left to do. Returns the tokens that were computed."""
    memory = Memory(of.blocks)
    for _ in range(most):
        for each in [each for each in of._working if each.complete]:
            of.rest(each)
        if (plan := of.plan()) is None:
            return memory.written
        for row in plan.rows:
            memory.written += len(row.ids) * row.write
        of.done(plan, 0.001)
    raise AssertionError("it never ends")


def test_answers_come_first_then_by_urgency_and_arrival_within_the_budget():
    some = scheduler(least_tokens=1, most_tokens=10)
    opening = stream(some, [1] * 20, Urgency.OPENING)
    speech = [stream(some, [n] * 4, Urgency.SPEECH) for n in (2, 3)]
    answer = stream(some, [4], Urgency.ANSWER, answering=True)
    plan = some.plan()
    assert plan is not None
    assert [row.stream for row in plan.answers] == [answer]
    assert [(row.stream, len(row.ids)) for row in plan.prompts] == [(speech[0], 4), (speech[1], 4), (opening, 2)]
    assert [row.draw for row in plan.rows] == [True, False, False, False]


def test_a_long_prompt_comes_in_chunks_that_a_step_has_time_for():
    some = scheduler(blocks=1000, least_tokens=8, most_tokens=200, step_seconds=0.02, quiet_seconds=0.05)
    for tokens in (10, 50, 100, 20, 80):
        some.step_time.observe(0, tokens, 0.01 + tokens * 0.0005)
    stream(some, list(range(500)), Urgency.OPENING)
    plan = some.plan()
    assert plan is not None
    assert 70 <= plan.prompt_tokens <= 82
    some.done(plan, 0.05)
    for _ in range(60):
        stream(some, [7], Urgency.ANSWER, answering=True)
        some.step_time.observe(60, 0, 0.2)
    plan = some.plan()
    assert plan is not None
    assert (len(plan.answers), plan.prompt_tokens) == (60, 8)


def test_more_answers_than_fit_take_turns():
    some = scheduler(rows=2)
    three = [stream(some, [n], Urgency.ANSWER, answering=True) for n in (1, 2, 3)]
    served: Counter[Stream] = Counter()
    for _ in range(6):
        plan = some.plan()
        assert plan is not None
        served.update(row.stream for row in plan.answers)
        some.done(plan, 0.001)
        for row in plan.answers:
            row.stream.context.extend(9)
    assert [served[each] for each in three] == [4, 4, 4]


def test_the_conversation_that_has_been_idle_longest_gives_its_blocks_back():
    some = scheduler(blocks=1 + 6)
    one, two = stream(some, [1] * 8), stream(some, [2] * 8)
    run(some)
    three = stream(some, [3] * 16)
    run(some)
    assert (one.context.computed, two.context.computed, three.context.computed) == (0, 8, 16)
    some.wants(one, Urgency.SPEECH)  # its ids are the truth: they are computed again
    assert run(some) == 8
    assert (one.context.computed, two.context.computed) == (8, 0)


def test_beginnings_that_nobody_holds_go_before_idle_conversations_and_their_ends_first():
    some = scheduler(blocks=1 + 6)
    gone, idle = stream(some, [1] * 12), stream(some, [2] * 8)
    run(some)
    some.leave(gone)
    stream(some, [3] * 8)
    run(some)
    assert idle.context.computed == 8
    again = stream(some, [1] * 12)
    assert again.context.computed == 8  # of three blocks the last went: one blank block was not enough


def test_beginnings_are_shared_and_computed_once():
    some = scheduler()
    prompt = list(range(10))
    streams = [stream(some, [*prompt, 100 + n]) for n in range(5)]
    assert run(some) == 8 + 5 * 3
    assert len({tuple(each.context.table[:2]) for each in streams}) == 1
    assert some.blocks.used == 2 + 5


def test_a_cut_in_a_shared_block_copies_it_and_leaves_the_neighbour_alone():
    some = scheduler()
    one = stream(some, [1, 2, 3, 4, 5])
    run(some)
    two = stream(some, [1, 2, 3, 4, 6])
    run(some)
    shared = one.context.table[0]
    assert two.context.table[0] == shared
    two.context.follow([1, 2, 9])
    some.wants(two, Urgency.SPEECH)
    plan = some.plan()
    assert plan is not None
    assert [(copy.source, row.start, row.ids) for copy, row in zip(plan.copies, plan.rows, strict=True)] == [
        (shared, 2, (9,))
    ]
    assert plan.copies[0].target == two.context.table[0] != shared
    assert one.context.table[0] == shared
    some.done(plan, 0.001)
    two.context.follow([1, 2, 3, 4])  # and what was cut away is found again
    assert two.context.adopt() == 2
    assert two.context.table == [shared]


def test_an_answer_to_what_is_cached_entirely_computes_one_token_and_writes_nothing():
    some = scheduler()
    one = stream(some, [1, 2, 3, 4])
    run(some)
    some.wants(one, Urgency.ANSWER, answering=True)
    plan = some.plan()
    assert plan is not None
    assert [(row.start, row.ids, row.write, row.draw) for row in plan.rows] == [(3, (4,), False, True)]


def test_when_nobody_can_go_on_the_last_begins_again():
    some = scheduler(blocks=1 + 6, answer_tokens=0)
    first = stream(some, [1] * 8, Urgency.ANSWER, answering=True)
    last = stream(some, [2] * 8, Urgency.ANSWER, answering=True)
    for _ in range(40):
        plan = some.plan()
        assert plan is not None
        some.done(plan, 0.001)
        for row in plan.rows:
            if row.draw and len(row.stream.context.ids) < 24:
                row.stream.context.extend(5)
            elif row.draw:
                some.rest(row.stream)
        if not some._working:
            break
    assert [len(each.context.ids) for each in (first, last)] == [24, 24]


def test_what_cannot_fit_now_is_refused_and_changes_nothing():
    some = scheduler(blocks=1 + 4)
    one = stream(some, [1] * 12, Urgency.ANSWER, answering=True)
    with pytest.raises(Busy, match="no room in the cache"):
        stream(some, [2] * 12)
    assert list(some._working) == [one]
    some.rest(one)
    stream(some, [2] * 12)


def test_what_would_be_slower_than_speech_or_wait_too_long_is_refused():
    some = scheduler(blocks=10_000, slowest_seconds=0.1, patience_seconds=5.0)
    for answers, tokens in [(1, 0), (4, 0), (2, 100), (3, 10)] * 5:
        some.step_time.observe(answers, tokens, 0.01 + 0.02 * answers + 0.001 * tokens)
    for _ in range(4):
        stream(some, [1], Urgency.ANSWER, answering=True)
    with pytest.raises(Busy, match="slower than speech"):
        stream(some, [1], Urgency.ANSWER, answering=True)
    stream(some, [1] * 6000, Urgency.OPENING)
    with pytest.raises(Busy, match="tokens wait") as refused:
        stream(some, [2], Urgency.OPENING)
    assert 5 < refused.value.retry_after < 8
    stream(some, [3], Urgency.SPEECH)  # what is more urgent does not wait for openings


def test_a_slow_machine_takes_one_answer_and_refuses_none_for_ever():
    some = scheduler(slowest_seconds=0.1)
    for _ in range(20):
        some.step_time.observe(1, 0, 3.0)
    one = stream(some, [1], Urgency.ANSWER, answering=True)
    with pytest.raises(Busy, match="2 answers"):
        stream(some, [2], Urgency.ANSWER, answering=True)
    some.rest(one)
    stream(some, [2], Urgency.ANSWER, answering=True)


def test_step_times_are_learned():
    draw = random.Random(1)
    some = scheduler()
    assert some.step_time.predicted(9, 9) == 0
    assert some.step_time.tokens_within(3, 0.01) > 1 << 20
    for _ in range(200):
        answers, tokens = draw.randrange(10), draw.choice([0, 0, draw.randrange(300)])
        some.step_time.observe(answers, tokens, (0.004 + 0.002 * answers + 0.0001 * tokens) * draw.uniform(0.9, 1.1))
    assert some.step_time.predicted(5, 100) == pytest.approx(0.024, rel=0.1)
    alike = StepTime()
    for _ in range(50):
        alike.observe(1, 0, 0.01)
    assert alike.predicted(1, 0) == pytest.approx(0.01, rel=0.02)
    assert 0.015 < alike.predicted(11, 0) < 0.03  # one more is taken to cost about a tenth
    assert some.step_time.tokens_within(5, 0.034) == pytest.approx(200, rel=0.15)
