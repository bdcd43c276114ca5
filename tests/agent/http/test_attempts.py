"""Counting wrong attempts, with time as an argument."""

from agent.http.attempts import MOST_ADDRESSES, Attempts


def test_the_door_closes_after_the_last_allowed_failure_and_opens_with_the_window() -> None:
    attempts = Attempts(most=3, seconds=60)
    for now in (0.0, 10.0, 20.0):
        assert attempts.wait("a", now) == 0
        attempts.failed("a", now)
    assert attempts.wait("a", 20.0) == 40
    assert attempts.wait("b", 20.0) == 0
    assert attempts.wait("a", 60.0) == 0
    attempts.failed("a", 60.0)
    assert attempts.wait("a", 60.0) == 0


def test_slow_failures_never_close_it() -> None:
    attempts = Attempts(most=3, seconds=60)
    for n in range(100):
        attempts.failed("a", n * 31.0)
        assert attempts.wait("a", n * 31.0) == 0


def test_memory_is_bounded() -> None:
    attempts = Attempts(most=1)
    for n in range(MOST_ADDRESSES + 10):
        attempts.failed(str(n), 0.0)
    assert attempts.wait("0", 0.0) == 0
    assert attempts.wait(str(MOST_ADDRESSES + 9), 0.0) > 0
