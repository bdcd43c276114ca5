"""Order, replacement and bound of waiting decodes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stt_worker.scheduler import Full, Job, Kind, Scheduler


def job(stream: int, kind: Kind) -> Job[str]:
    return Job(stream, kind, f"{stream}/{kind.name}")


def drained(scheduler: Scheduler[str]) -> list[Job[str]]:
    jobs = []
    while taken := scheduler.take():
        jobs.append(taken)
    return jobs


def test_finals_come_before_guesses_before_housekeeping_before_partials() -> None:
    scheduler: Scheduler[str] = Scheduler(10)
    for stream, kind in enumerate([Kind.PARTIAL, Kind.SETTLE, Kind.SPECULATIVE, Kind.FINAL]):
        scheduler.add(job(stream, kind))
    assert [taken.kind for taken in drained(scheduler)] == list(Kind)


def test_streams_take_turns() -> None:
    scheduler: Scheduler[str] = Scheduler(10)
    for stream in (1, 1, 1, 2, 3):
        scheduler.add(job(stream, Kind.FINAL))
    assert [taken.stream for taken in drained(scheduler)] == [1, 2, 3, 1, 1]


def test_a_newer_guess_or_final_replaces_a_guess_of_the_same_stream_only() -> None:
    scheduler: Scheduler[str] = Scheduler(10)
    guess, other = job(1, Kind.SPECULATIVE), job(2, Kind.SPECULATIVE)
    scheduler.add(guess)
    scheduler.add(other)
    newer = job(1, Kind.SPECULATIVE)
    assert scheduler.add(newer) == [guess]
    final = job(1, Kind.FINAL)
    assert scheduler.add(final) == [newer]
    assert drained(scheduler) == [final, other]


def test_finals_are_never_replaced() -> None:
    scheduler: Scheduler[str] = Scheduler(10)
    first, second = job(1, Kind.FINAL), job(1, Kind.FINAL)
    scheduler.add(first)
    assert scheduler.add(second) == []
    assert drained(scheduler) == [first, second]


def test_a_partial_makes_way_for_any_newer_job_of_its_stream() -> None:
    for kind in Kind:
        scheduler: Scheduler[str] = Scheduler(10)
        partial = job(1, Kind.PARTIAL)
        scheduler.add(partial)
        newer = job(1, kind)
        assert scheduler.add(newer) == [partial]
        assert drained(scheduler) == [newer]


def test_the_bound_counts_what_was_asked_for() -> None:
    scheduler: Scheduler[str] = Scheduler(2)
    scheduler.add(job(1, Kind.FINAL))
    scheduler.add(job(2, Kind.SPECULATIVE))
    with pytest.raises(Full, match="2 requests wait"):
        scheduler.add(job(3, Kind.FINAL))
    scheduler.add(job(3, Kind.PARTIAL))  # unasked work is bounded by the streams
    replacing = job(2, Kind.FINAL)  # takes the place of the guess
    scheduler.add(replacing)
    assert scheduler.asked == 2
    assert scheduler.waiting == 3


def test_withdrawn_and_dropped_jobs_are_not_taken() -> None:
    scheduler: Scheduler[str] = Scheduler(10)
    kept, withdrawn = job(1, Kind.FINAL), job(1, Kind.FINAL)
    gone = [job(2, Kind.FINAL), job(2, Kind.SETTLE)]
    for one in (kept, withdrawn, *gone):
        scheduler.add(one)
    assert scheduler.withdraw(withdrawn)
    assert not scheduler.withdraw(withdrawn)
    assert scheduler.drop(2) == gone
    assert drained(scheduler) == [kept]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(list(Kind))), max_size=40))
def test_every_job_is_taken_once_or_replaced_and_kinds_never_go_backwards(order: list[tuple[int, Kind]]) -> None:
    scheduler: Scheduler[str] = Scheduler(100)
    added = [job(stream, kind) for stream, kind in order]
    replaced = [old for new in added for old in scheduler.add(new)]
    taken = drained(scheduler)
    assert sorted(map(id, [*taken, *replaced])) == sorted(map(id, added))
    assert [one.kind for one in taken] == sorted(one.kind for one in taken)
    assert scheduler.waiting == 0
