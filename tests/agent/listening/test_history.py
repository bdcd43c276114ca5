"""The ring of recent samples, against a plain array."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.listening.history import History

KEEP = 50


@given(st.lists(st.integers(0, 120), max_size=12), st.integers(0, KEEP), st.integers(0, KEEP))
def test_positions_mean_what_they_say(sizes: list[int], back: int, length: int) -> None:
    history = History(KEEP)
    everything = np.arange(1, sum(sizes) + 1, dtype=np.int16)
    at = 0
    for size in sizes:
        history.append(everything[at : at + size])
        at += size
    assert history.end == len(everything)
    padded = np.concatenate([np.zeros(KEEP, dtype=np.int16), everything])  # before the call there was silence
    first = history.end - back
    last = min(history.end, first + length)
    np.testing.assert_array_equal(history.between(first, last), padded[first + KEEP : last + KEEP])
    np.testing.assert_array_equal(history.tail(length), everything[max(0, len(everything) - length) :])


def test_what_is_gone_or_has_not_come_is_refused() -> None:
    history = History(KEEP)
    history.append(np.zeros(500, dtype=np.int16))
    with pytest.raises(ValueError, match="samples 0 to 10 asked for"):
        history.between(0, 10)
    with pytest.raises(ValueError, match="490 to 501"):
        history.between(490, 501)
