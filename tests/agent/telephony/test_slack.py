"""Threads of the SIP stack sleep coarsely, those of the agent do not."""

import ctypes
import sys
import threading

import pytest

from agent.telephony.slack import coarse_timers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="timer slack is the Linux kernel's")


def _slack() -> int:
    """Nanoseconds, of the calling thread."""
    return int(ctypes.CDLL(None).prctl(30, 0, 0, 0, 0))


def test_threads_started_inside_and_their_children_are_woken_coarsely() -> None:
    seen: list[int] = []

    def child() -> None:
        grandchild = threading.Thread(target=lambda: seen.append(_slack()))
        grandchild.start()
        grandchild.join()
        seen.append(_slack())

    before = _slack()
    with coarse_timers(0.001):
        thread = threading.Thread(target=child)
        thread.start()
    thread.join()
    assert seen == [1_000_000, 1_000_000]
    assert _slack() == before != 1_000_000


def test_the_starter_is_as_before_also_after_a_failure() -> None:
    before = _slack()
    with pytest.raises(OSError, match="no"), coarse_timers(0.001):
        raise OSError("no")
    assert _slack() == before
