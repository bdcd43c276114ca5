"""PURE: which code points each frame of a piece says."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from tts_worker.engine import FRAME, Mark


def said(marks: Sequence[Mark], sample: int) -> int:
    """Code points said when `sample` samples have sounded.

    A character counts once it is complete, and the first one of several as soon as it begins: so a word is begun where
    it begins and over where it is over, although "$45" takes longer to say than its three characters suggest.
    """
    after = bisect_right(marks, sample, key=lambda mark: mark.sample)
    if after == len(marks):
        return marks[-1].code_point
    left, right = marks[after - 1], marks[after]
    length = right.code_point - left.code_point
    share = length * (sample - left.sample) // (right.sample - left.sample)
    begun = length > 1 and sample > left.sample
    return left.code_point + max(share, int(begun))


def frame_spans(marks: Sequence[Mark], frames: int) -> list[tuple[int, int]]:
    """Half-open ranges of the phrase's code points, one a frame: in order, touching, empty where nothing is said.

    The first begins where the piece's text begins, whatever jumps at sample 0; the last ends where it ends.
    """
    borders = [marks[0].code_point, *(said(marks, FRAME * k) for k in range(1, frames)), marks[-1].code_point]
    return list(pairwise(borders))
