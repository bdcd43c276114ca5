"""How exactly threads that sleep are woken."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SET, _GET = 29, 30  # PR_SET_TIMERSLACK, PR_GET_TIMERSLACK of <linux/prctl.h>


@contextmanager
def coarse_timers(seconds: float) -> Iterator[None]:
    """Threads that are started inside, and those that they start, may be woken so much later than they asked: the
    kernel then wakes many of them at once. Elsewhere than on Linux nothing changes."""
    if sys.platform != "linux":
        yield
        return
    prctl = ctypes.CDLL(None).prctl
    before = prctl(_GET, 0, 0, 0, 0)
    prctl(_SET, ctypes.c_ulong(round(seconds * 1e9)), 0, 0, 0)
    try:
        yield
    finally:
        prctl(_SET, ctypes.c_ulong(before), 0, 0, 0)
