"""Received sound on the clock: losses, silence, bursts, stalls."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.audio import Samples, silence
from agent.telephony.intake import BURST_FRAMES, Intake

FRAME = 160


def ramp(start: int, frames: int = 1) -> Samples:
    """Frames in which every sample tells its place."""
    return (np.arange(start * FRAME, (start + frames) * FRAME) % 20000 + 5000).astype(np.int16)


def run(arrivals: dict[int, Samples], ticks: int) -> tuple[Intake, Samples]:
    """Feed what arrives at each 20 ms tick; all that came out, checked to be without holes."""
    intake = Intake(8000, 0.0)
    out = []
    for tick in range(ticks):
        placed = intake.place(arrivals.get(tick, silence(0)), tick * 0.02)
        assert placed.first == sum(part.size for part in out)
        assert placed.samples.size % FRAME == 0
        out.append(placed.samples)
    return intake, np.concatenate(out)


def test_a_steady_stream_passes_unchanged() -> None:
    intake, out = run({tick: ramp(tick) for tick in range(100)}, 100)
    assert np.array_equal(out, ramp(0, 100))
    assert (intake.concealed, intake.trimmed) == (0, 0)


def test_time_goes_on_without_any_sound() -> None:
    intake, out = run({}, 100)
    assert out.size in (98 * FRAME, 99 * FRAME)
    assert not out.any()
    assert intake.concealed == out.size


def test_lost_frames_keep_what_follows_in_its_place() -> None:
    lost = {20, 35, 36, 37, 60}
    delay = 3  # ticks in the jitter buffer, as on a real line
    _, out = run({tick + delay: ramp(tick) for tick in range(100) if tick not in lost}, 103)
    places = {
        tick: int(np.flatnonzero((out[:-1] == ramp(tick)[0]) & (out[1:] == ramp(tick)[1]))[0]) - tick * FRAME
        for tick in (0, 19, 21, 40, 50, 70, 90)
    }
    assert max(places.values()) - min(places.values()) <= FRAME


def test_a_gap_repeats_the_last_frame_and_fades() -> None:
    steady = np.full(FRAME, 8000, dtype=np.int16)
    _, out = run(dict.fromkeys(range(10), steady), 20)
    gap = out[10 * FRAME :].reshape(-1, FRAME)
    assert gap[0].max() > 7900
    assert 2000 < np.abs(gap[1]).max() < 6000
    assert not gap[3:].any()
    assert (np.diff(np.abs(gap[:3].reshape(-1).astype(int))) <= 0).all()


def test_a_packet_at_the_edge_of_a_tick_is_not_concealed() -> None:
    arrivals: dict[int, Samples] = {}
    for tick in range(0, 100, 2):  # every second tick comes a moment too early, and finds its packet at the next
        arrivals[tick + 1] = ramp(tick, 2)
    intake, out = run(arrivals, 100)
    assert intake.concealed == 0
    assert np.array_equal(out, ramp(0, 100))


def test_speech_that_comes_late_is_kept_and_the_next_silence_gives_way() -> None:
    arrivals = {tick: ramp(tick) for tick in range(20)}
    arrivals[24] = ramp(20, 5)  # a hole of 80 ms, then everything at once
    arrivals |= {tick: ramp(tick) for tick in range(25, 30)}
    arrivals |= {tick: silence(FRAME) for tick in range(30, 60)}
    intake, out = run(arrivals, 60)
    assert ramp(22)[0] in out
    assert intake.trimmed > 0
    assert abs(out.size - 60 * FRAME) <= 2 * FRAME


def test_what_is_far_ahead_of_the_clock_is_trimmed_whatever_it_is() -> None:
    intake, out = run({0: ramp(0), 1: ramp(1, 20)}, 2)
    assert intake.trimmed >= 15 * FRAME
    assert out.size <= 4 * FRAME


def test_a_stall_of_the_process_skips_the_oldest() -> None:
    intake = Intake(8000, 0.0)
    intake.place(ramp(0), 0.0)
    placed = intake.place(ramp(1, 100), 2.0)
    assert placed.samples.size == BURST_FRAMES * FRAME
    assert placed.first == (101 - BURST_FRAMES) * FRAME
    assert placed.samples[-1] == ramp(100)[-1]
    assert intake.skipped == (100 - BURST_FRAMES) * FRAME


def test_frames_of_another_length_are_joined() -> None:
    stream = ramp(0, 60)
    arrivals = {tick: stream[tick // 3 * 480 : tick // 3 * 480 + 480] for tick in range(0, 60, 3)}  # packets of 60 ms
    odd = {tick: stream[tick * 170 : (tick + 1) * 170] for tick in range(30)}
    assert run(arrivals, 60)[1].size % FRAME == 0
    assert run(odd, 30)[1].size % FRAME == 0


@pytest.mark.parametrize("rate", [8000, 16000])
@given(st.lists(st.sampled_from([0, 80, 160, 320, 480, 1600]), min_size=1, max_size=120))
def test_positions_never_go_back_and_stay_near_the_clock(rate: int, sizes: list[int]) -> None:
    intake = Intake(rate, 10.0)
    end = 0
    for tick, size in enumerate(sizes):
        placed = intake.place(np.full(size * rate // 8000, 3000, dtype=np.int16), 10.0 + tick * 0.02)
        assert placed.first >= end
        end = placed.first + placed.samples.size
        assert end == intake.position
        assert tick * 0.02 - 0.06 <= end / rate <= tick * 0.02 + 0.14
