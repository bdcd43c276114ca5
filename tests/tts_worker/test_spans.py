from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tts_worker.engine import FRAME, Mark
from tts_worker.spans import frame_spans, said


def test_characters_pass_while_their_word_sounds() -> None:
    # "ab cd": "ab" in the first two frames, a frame of pause, "cd" in two frames.
    marks = [
        Mark(0, 0),
        Mark(0, 0),
        Mark(2 * FRAME, 2),
        Mark(2 * FRAME, 3),
        Mark(3 * FRAME, 3),
        Mark(5 * FRAME, 5),
    ]
    assert frame_spans(marks, 6) == [(0, 1), (1, 3), (3, 3), (3, 4), (4, 5), (5, 5)]


def test_a_long_word_is_begun_at_once_and_complete_at_its_end() -> None:
    marks = [Mark(0, 0), Mark(0, 0), Mark(1000, 2), Mark(1000, 3)]
    assert [said(marks, sample) for sample in (0, 1, 499, 500, 999, 1000, 5000)] == [0, 1, 1, 1, 1, 3, 3]


def test_a_silent_piece_says_all_its_text_at_once() -> None:
    assert frame_spans([Mark(0, 4), Mark(0, 9)], 1) == [(4, 9)]
    assert frame_spans([Mark(0, 4), Mark(0, 9)], 3) == [(4, 9), (9, 9), (9, 9)]


@given(
    st.lists(st.tuples(st.integers(0, 9 * FRAME), st.integers(0, 50)), min_size=1, max_size=30),
    st.integers(1, 10),
)
def test_spans_touch_and_cover_whatever_the_marks(raw: list[tuple[int, int]], frames: int) -> None:
    samples, points = sorted(s for s, _ in raw), sorted(p for _, p in raw)
    marks = [Mark(0, points[0]), *(Mark(s, p) for s, p in zip(samples, points, strict=True))]
    if marks[-1].sample > frames * FRAME:
        return
    spans = frame_spans(marks, frames)
    assert len(spans) == frames
    assert spans[0][0] == marks[0].code_point
    assert spans[-1][1] == marks[-1].code_point
    assert all(a <= b for a, b in spans)
    assert all(left[1] == right[0] for left, right in pairwise(spans))
