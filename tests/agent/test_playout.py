"""Frames on demand, and what of the text has been sent and heard at any moment."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.audio import Samples
from agent.playout import OWN_TEXT, Cut, Playout, Speech, whole_words, word_start

RATE = 8000
TEXT = "Good morning to you all."


def loud(samples: int) -> Samples:
    return np.full(samples, 1000, dtype=np.int16)


def filled(seconds: float = 2.4, source: int = 1, text: str = TEXT, finished: bool = True) -> Playout:
    """A playout of `text`, spread evenly over `seconds`, in pieces of 100 ms."""
    playout = Playout(RATE, gate_open=True)
    count = round(seconds * 10)
    for i in range(count):
        span = len(text) * i // count, len(text) * (i + 1) // count
        playout.push(Speech(loud(RATE // 10), source, *span, ends_phrase=i == count - 1))
    playout.finished = finished
    return playout


def take(playout: Playout, frames: int) -> list[Samples]:
    found = [playout.next_frame() for _ in range(frames)]
    return [frame for frame in found if frame is not None]


def test_a_closed_gate_keeps_everything() -> None:
    playout = filled()
    playout.gate_open = False
    assert playout.next_frame() is None
    assert playout.position == 0
    playout.gate_open = True
    assert playout.next_frame() is not None


def test_every_sample_leaves_once_and_in_order() -> None:
    rng = np.random.default_rng(1)
    sound = rng.integers(-3000, 3000, 1234, dtype=np.int16)
    playout = Playout(RATE, gate_open=True, finished=True)
    for part in np.split(sound, [100, 101, 700]):
        playout.push(Speech(part, 1, 0, 1))
    out = np.concatenate(take(playout, 20))
    np.testing.assert_array_equal(out[:1234], sound)
    assert not out[1234:].any()
    assert playout.done


def test_a_frame_missing_inside_a_phrase_is_starvation_and_between_phrases_it_is_not() -> None:
    playout = Playout(RATE, gate_open=True)
    playout.push(Speech(loud(160), 1, 0, 3, ends_phrase=False))
    take(playout, 3)
    assert playout.starved_frames == 2
    playout.push(Speech(loud(160), 1, 3, 6, ends_phrase=True))
    take(playout, 3)
    assert playout.starved_frames == 2


def test_the_first_audible_sample_is_that_of_an_answer() -> None:
    playout = Playout(RATE, gate_open=True, finished=True)
    playout.push(Speech(loud(160), OWN_TEXT, 0, 5))
    playout.push(Speech(np.concatenate([np.zeros(50, np.int16), loud(110)]), 7, 0, 5))
    take(playout, 1)
    assert playout.first_audible is None
    take(playout, 1)
    assert playout.first_audible == 210


def test_a_cut_says_what_was_sent_and_what_can_have_been_heard() -> None:
    playout = filled()
    take(playout, 60)  # 1.2 s of 2.4: twelve characters, "Good morning"
    assert playout.cut({1: TEXT}, unsent=0, in_flight=0.0) == [Cut(1, 12, 12)]
    playout = filled()
    take(playout, 60)
    (cut,) = playout.cut({1: TEXT}, unsent=320, in_flight=0.1)
    assert cut.sent == 11
    assert cut.heard == len("Good"), "half a word was not heard"
    assert playout.done


def test_after_a_pause_it_goes_on_from_the_start_of_the_word() -> None:
    playout = filled()
    take(playout, 40)  # 0.8 s: "Good mor|ning"
    playout.pause(unsent=0)
    assert playout.next_frame() is None
    playout.resume({1: TEXT})
    assert playout.position == 5 * RATE // 10
    playout.resume({1: TEXT})
    assert playout.position == 5 * RATE // 10, "a second resume changes nothing"


def test_a_pause_takes_back_what_did_not_leave() -> None:
    playout = filled()
    take(playout, 10)
    playout.pause(unsent=320)
    assert playout.position == 10 * 160 - 320


@pytest.mark.parametrize(
    ("code_points", "words", "start"),
    [(0, 0, 0), (3, 0, 0), (4, 4, 0), (5, 4, 0), (7, 4, 5), (12, 12, 5), (24, 24, 20), (99, 24, 20)],
)
def test_word_boundaries(code_points: int, words: int, start: int) -> None:
    assert whole_words(TEXT, code_points) == words
    assert word_start(TEXT, code_points) == start


@given(st.text(alphabet="ab é😀\n", max_size=30), st.integers(-3, 40))
def test_whole_words_never_reach_beyond_what_was_heard(text: str, code_points: int) -> None:
    kept = whole_words(text, code_points)
    assert 0 <= kept <= max(0, min(code_points, len(text)))
    assert kept in (0, len(text)) or text[kept].isspace()


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 400), st.integers(0, 400))
def test_what_was_heard_is_never_more_than_what_was_sent(pieces: list[int], frames: int, unsent: int) -> None:
    playout = Playout(RATE, gate_open=True, finished=True)
    for i, tenths in enumerate(pieces):
        playout.push(Speech(loud(tenths * RATE // 10), 1, i * 4, i * 4 + 4))
    text = "abc " * len(pieces)
    take(playout, frames)
    (cut,) = playout.cut({1: text}, unsent, 0.1)
    assert 0 <= cut.heard <= cut.sent <= len(text)
