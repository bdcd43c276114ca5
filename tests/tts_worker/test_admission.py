import pytest

from services.errors import Busy
from tts_worker.admission import TOO_LATE, Line, Places, StepTime


def test_a_first_phrase_passes_streams_that_are_ahead_of_their_listener() -> None:
    line = Line()
    for stream in ("old", "new"):
        line.enter(stream)
    line.ask("old", now=0.0)
    assert line.pick(1) == ["old"]
    line.given("old", seconds=3.0, now=0.1)
    line.ask("old", now=0.2)
    line.ask("new", now=0.3)
    assert line.pick(1) == ["new"]
    assert line.pick(1) == ["old"]


def test_a_starving_stream_goes_before_a_newcomer() -> None:
    line = Line()
    for stream in ("starving", "new"):
        line.enter(stream)
    line.ask("starving", now=0.0)
    line.pick(1)
    line.given("starving", seconds=1.0, now=0.0)
    line.ask("starving", now=0.5)
    line.ask("new", now=1.2)
    assert line.pick(2) == ["starving", "new"]


def test_streams_that_wait_alike_are_served_in_turn() -> None:
    line = Line()
    for stream in "abc":
        line.enter(stream)
        line.ask(stream, now=1.0)
    order = []
    for _ in range(6):
        (stream,) = line.pick(1)
        order.append(stream)
        line.given(stream, seconds=1.0, now=1.0)
        line.ask(stream, now=1.0)
    assert order == list("abcabc")


def test_silence_of_the_client_is_no_credit() -> None:
    line = Line()
    line.enter("quiet")
    line.enter("other")
    line.ask("other", now=99.0)
    line.ask("quiet", now=100.0)
    assert line.pick(1) == ["other"]


def test_who_left_is_not_served() -> None:
    line = Line()
    line.enter("gone")
    line.ask("gone", now=0.0)
    line.leave("gone")
    line.leave("gone")
    line.given("gone", seconds=1.0, now=0.0)
    assert line.pick(1) == []
    assert len(line) == 0


def test_places_are_bounded_and_spread_over_the_lines() -> None:
    places = Places(3, (Line(), Line()))
    assert [places.enter(stream, now=0.0) for stream in "abc"] == [0, 1, 0]
    with pytest.raises(Busy) as refused:
        places.enter("d", now=0.0)
    assert refused.value.retry_after > 0
    places.lines[0].leave("a")
    assert places.enter("d", now=0.0) == 0


def test_nobody_is_let_in_while_the_engine_is_far_behind() -> None:
    places = Places(8, (Line(),))
    places.enter("waiting", now=0.0)
    places.lines[0].ask("waiting", now=10.0)
    places.enter("in time", now=10.0 + TOO_LATE)
    with pytest.raises(Busy, match=r"2\.1 s behind"):
        places.enter("too late", now=10.1 + TOO_LATE)
    places.lines[0].pick(1)
    places.enter("after", now=20.0)


def test_a_step_that_grows_with_its_streams_is_foreseen() -> None:
    times = StepTime()
    assert times.predicted(100) == 0.0
    for streams in (1, 2, 3, 4) * 5:
        times.observe(streams, 0.010 + 0.005 * streams)
    assert times.predicted(8) == pytest.approx(0.050)
    assert times.allows(12, 0.08)
    assert not times.allows(13, 0.08)


def test_what_was_never_varied_is_taken_for_proportional() -> None:
    times = StepTime()
    for _ in range(10):
        times.observe(4, 0.040)
    assert times.predicted(6) == pytest.approx(0.060)


def test_recent_steps_count_most() -> None:
    times = StepTime()
    for seconds, count in ((0.07, 100), (0.02, 300)):
        for _ in range(count):
            times.observe(2, seconds)
    assert times.predicted(2) == pytest.approx(0.02, abs=0.001)


def test_a_larger_batch_is_never_taken_to_be_quicker() -> None:
    times = StepTime()
    for _ in range(10):
        times.observe(1, 0.04)
        times.observe(8, 0.03)
    assert times.predicted(16) >= 0.03


def test_prompts_count_as_far_as_they_slow_the_others_down() -> None:
    times = StepTime()
    times.observe(1, 0.100, prompts=True)
    times.observe(1, 0.010)
    assert times.predicted(2) < 0.025  # one prompt is no load
    for _ in range(400):  # with many short phrases there is hardly a step without a prompt
        times.observe(4, 0.060, prompts=True)
    assert times.predicted(4) == pytest.approx(0.060, abs=0.001)
    for _ in range(400):
        times.observe(4, 0.040)
    assert times.predicted(4) == pytest.approx(0.040, abs=0.001)


def test_a_stream_too_many_is_refused_before_it_harms_the_others() -> None:
    line = Line(StepTime())
    places = Places(100, (line,))
    assert line.step_time is not None
    for streams in (1, 2, 3) * 5:
        line.step_time.observe(streams, 0.020 * streams)
    for stream in range(3):
        places.enter(stream, 0.0)
    with pytest.raises(Busy, match="4 streams would not stay in real time"):
        places.enter("one more", 0.0)
    assert places.taken == 3
