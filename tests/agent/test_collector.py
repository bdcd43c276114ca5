"""What exists when the process is up is never looked at again; garbage made later is still found."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from agent.collector import spare_calls


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


class _Knot:
    def __init__(self) -> None:
        self.self = self


def test_what_exists_is_left_out() -> None:
    there = _Knot()
    spare_calls()
    assert not any(one is there for one in gc.get_objects())
    assert gc.isenabled()


def test_later_garbage_is_found_without_being_asked_for() -> None:
    spare_calls()
    knot = _Knot()
    gone = weakref.ref(knot)
    del knot
    kept = [[] for _ in range(50_000)]
    assert gone() is None
    assert len(kept) == 50_000
