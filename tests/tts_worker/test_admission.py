import pytest

from services.errors import Busy
from tts_worker.admission import TOO_LATE, Line, Places


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
