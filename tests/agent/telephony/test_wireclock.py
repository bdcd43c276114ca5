"""Clocks from counters: the truth is a stack made up for the test."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.telephony.wireclock import (
    Counters,
    Look,
    Receiving,
    Sending,
    WayIn,
    WayOut,
    all_stepped,
    next_beat,
    receiving,
    sending,
)

RATE = 8000
PACKET = 0.02
ms = st.integers(0, 199).map(lambda tenths: tenths / 10_000)


def steps(first: float, now: float) -> int:
    """How many beats there were, the first of them at `first`."""
    return max(0, math.floor((now - first) / PACKET + 1e-9) + 1)


def look(now: float, arrives: float, wait: float, takes: float, delay: float, visible: bool = True) -> Look:
    """A stack whose first packet came at `arrives` and whose transmitter took its first frame at `takes`."""
    came, decoded = steps(arrives, now), steps(arrives + wait, now)
    newest = arrives + (came - 1) * PACKET
    packets = Counters(steps(takes + delay, now), came - decoded, newest) if visible else None
    return Look(now, decoded * 160, steps(takes, now), packets)


def looks(
    begin: float, arrives: float, wait: float, takes: float, delay: float, visible: bool = True, every: float = 0.002
) -> list[Look]:
    times = [begin + n * every for n in range(math.ceil(0.026 / every))]
    return [look(time, arrives, wait, takes, delay, visible) for time in times]


@given(begin=ms, arrives=ms, wait=st.floats(0.001, 0.15))
def test_the_wait_in_the_buffer_is_found(begin: float, arrives: float, wait: float) -> None:
    found = receiving(looks(5 + begin, arrives, wait, 0.0, 0.005), RATE)
    assert found is not None
    assert found.wait == pytest.approx(wait, abs=0.0011)
    assert found.packet == pytest.approx(PACKET)
    assert found.decoded == pytest.approx(arrives + wait + (found.received / 160 - 1) * PACKET, abs=0.0011)


@given(begin=ms, takes=ms, delay=st.floats(0.001, 0.09))
def test_the_way_out_is_found_however_many_packets_it_is_long(begin: float, takes: float, delay: float) -> None:
    found = sending(looks(5 + begin, 0.0, 0.04, takes, delay), PACKET)
    assert found is not None
    assert found.wait is not None
    assert found.wait + found.behind * PACKET == pytest.approx(delay, abs=0.0021)
    assert found.taken == pytest.approx(takes + (found.frames - 1) * PACKET, abs=0.0011)


def test_without_a_view_of_packets_the_beats_are_still_found() -> None:
    seen = looks(5.0, 0.003, 0.04, 0.007, 0.005, visible=False)
    into, out = receiving(seen, RATE), sending(seen, PACKET)
    assert into is not None
    assert into.wait is None
    assert out is not None
    assert out.wait is None
    assert out.taken % PACKET == pytest.approx(0.007, abs=0.0011)


def test_a_stamp_that_the_kernel_does_not_give_is_no_wait() -> None:
    seen = [Look(one.time, one.received, one.taken, Counters(0, 2, None)) for one in looks(5.0, 0.0, 0.04, 0.0, 0.005)]
    found = receiving(seen, RATE)
    assert found is not None
    assert found.wait is None


def test_a_stall_places_no_step() -> None:
    seen = looks(5.0, 0.0, 0.04, 0.0, 0.005, every=0.011)
    assert receiving(seen, RATE) is None
    assert sending(seen, PACKET) is None


def test_nothing_that_moves_is_no_clock() -> None:
    still = [Look(n * 0.002, 480, 7, None) for n in range(13)]
    assert receiving(still, RATE) is None
    assert sending(still, PACKET) is None
    assert receiving([], RATE) is None


def way_in(lag: float, lost: int = 0) -> WayIn:
    """Two looks at 100 and 110 s, read `lag` later; so many packets were lost between them."""
    way = WayIn(0.041)
    way.take(Receiving(100.0, 8000, PACKET, RATE, 0.04), 8000, 100.0 + lag)
    later = 8000 + 80_000 - lost * 160
    way.take(Receiving(110.0, later, PACKET, RATE, 0.04), later, 110.0 + lag)
    return way


@given(count=st.integers(-500, 500), lag=st.floats(0.0, 0.0199), late=st.floats(-0.002, 0.002))
def test_packets_are_placed_by_their_count(count: int, lag: float, late: float) -> None:
    """Also where reading and decoding nearly meet."""
    true = 110.0 + count * PACKET
    at = way_in(lag).decoded(88_000 + count * 160, true + lag + late)
    assert at == pytest.approx(true, abs=1e-6)


@given(count=st.integers(-500, 500), lag=st.floats(0.0, 0.0199), lost=st.integers(1, 25), late=st.floats(-0.009, 0.009))
def test_where_packets_are_lost_the_lag_of_reading_tells(count: int, lag: float, lost: int, late: float) -> None:
    way = way_in(lag, lost=3)
    true = 110.0 + (count + lost) * PACKET
    at = way.decoded(88_000 - 3 * 160 + count * 160, true + lag + late)
    assert at == pytest.approx(true, abs=1e-6)


def test_a_late_tick_is_no_loss() -> None:
    assert way_in(0.005).decoded(88_160, 110.02 + 0.022) == pytest.approx(110.02)
    assert way_in(0.005).decoded(88_160, 110.04 + 0.006) == pytest.approx(110.04)  # nor is a loss a late tick


def test_before_the_first_look_nothing_is_placed() -> None:
    assert WayIn(0.041).decoded(8000, 100.0) is None


@given(anchor=st.floats(0, 1), after=st.floats(0, 100))
def test_the_next_beat_lies_after_and_within_one(anchor: float, after: float) -> None:
    beat = next_beat(anchor, PACKET, after)
    assert after - 1e-9 <= beat <= after + PACKET + 1e-9
    assert ((beat - anchor) / PACKET) == pytest.approx(round((beat - anchor) / PACKET), abs=1e-6)


def test_a_look_may_end_when_each_counter_has_stepped() -> None:
    seen = looks(5.0005, 0.0, 0.041, 0.007, 0.009)
    needed = next(n for n in range(len(seen)) if all_stepped(seen[:n]))
    assert receiving(seen[:needed], RATE) is not None
    assert sending(seen[:needed], PACKET) is not None
    assert 5 < needed < len(seen)
    assert not all_stepped([])


def out(*found: Sending) -> WayOut:
    way = WayOut(0.005, PACKET)
    for one in found:
        way.take(one)
    return way


def beat(number: int, behind: int = 0, frames: int | None = None) -> Sending:
    """Two seconds apart."""
    return Sending(50.0 + number * 2.0, 1000 + number * 100 if frames is None else frames, 0.004, behind)


def test_waits_that_come_and_go_are_all_remembered() -> None:
    """As with jitter: no three in a row are late, or early."""
    way = WayIn(0.041)
    for wait in (0.02, 0.03, 0.04, 0.021, 0.031, 0.041, 0.022, 0.032, 0.042):
        way.take(Receiving(1.0, 160, PACKET, RATE, wait), 160, 1.0)
    assert way.delay == 0.031


def test_until_something_was_seen_the_usual_counts() -> None:
    assert (WayIn(0.041).delay, WayIn(0.041).newest, WayIn(0.041).doubtful) == (0.041, 0.041, False)
    assert out(Sending(50.0, 1000, None, 0)).delay == 0.005


def test_a_wait_that_has_changed_is_doubted_and_then_believed() -> None:
    way = out(*(beat(n) for n in range(12)))
    for n in (12, 13):
        way.take(beat(n, behind=1))
        assert (way.doubtful, way.delay, way.newest) == (True, pytest.approx(0.004), pytest.approx(0.024))
    way.take(beat(14, behind=1))
    assert (way.doubtful, way.delay) == (False, pytest.approx(0.024))
    way.take(beat(15))
    assert way.delay == pytest.approx(0.024)


def test_packets_that_were_no_frames_do_not_shorten_the_way() -> None:
    """Keys: eight packets more have left than there were frames."""
    assert out(beat(0, 1), beat(1, 1), beat(2, -7), beat(3, -7)).newest == pytest.approx(0.024)


def test_streams_that_count_from_nothing_do_not_change_the_way() -> None:
    """After a re-INVITE frames are counted from 0, packets go on."""
    fresh = [beat(2, 1 - 1150, frames=50), beat(3, 1 - 1150, frames=150)]
    way = out(beat(0, 1), beat(1, 1), *fresh)
    assert way.newest == pytest.approx(0.024)
    way.take(beat(4, 2 - 1150, frames=250))
    assert way.newest == pytest.approx(0.044)


def test_half_a_frame_that_was_counted_as_one_is_found_out() -> None:
    """The transmitter's count runs ahead of its beats."""
    assert out(beat(0), beat(1), beat(2, 1, frames=1201), beat(3, 1, frames=1301)).newest == pytest.approx(0.004)


def test_the_way_in_is_the_middle_of_some_looks() -> None:
    way = WayIn(0.041)
    for wait in (0.03, 0.05, 0.031):
        way.take(Receiving(1.0, 160, PACKET, RATE, wait), 160, 1.0)
    assert way.delay == 0.031
    way.take(Receiving(2.0, 320, PACKET, RATE, None), 320, 2.0)
    assert way.delay == 0.031
    assert way.clock == Receiving(2.0, 320, PACKET, RATE, None)
