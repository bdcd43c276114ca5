"""Where a long turn is cut so that its beginning can be decoded for good and forgotten: PURE.

In pauses, not at word times: those of Whisper are off by a tenth of a second and cost a decode to learn.
"""

from collections.abc import Sequence
from itertools import pairwise

LONG_PAUSE_SECONDS = 3.0
"""After this the piece is complete; a model left alone with a long silence invents words for it."""
PIECE_RULES = ((9.0, 0.4), (14.0, 0.1), (25.0, 0.0))
"""From so many seconds of speech on, a pause of so many seconds will do: the shortest window holds 10 s, the longest
30 s."""
SHORTEST_SECONDS = 3.0
HARD_CUT_SECONDS = 24.0

Run = tuple[int, int]
"""A stretch with sound, half-open, in samples."""


def cut_position(runs: Sequence[Run], end: int, rate: int) -> int | None:
    """Where to cut the piece with this sound, which reaches up to `end` so far; None: not yet."""
    if not runs:
        return None
    pauses = [(a[1], b[0]) for a, b in pairwise(runs)]
    for first, last in [*pauses, (runs[-1][1], end)]:
        if last - first >= LONG_PAUSE_SECONDS * rate:
            return first + int(LONG_PAUSE_SECONDS * rate) // 2
    start = runs[0][0]
    length = (runs[-1][1] - start) / rate
    late_enough = [(a, b) for a, b in pauses if a - start >= SHORTEST_SECONDS * rate]
    for seconds, shortest in PIECE_RULES:
        fitting = [(b - a, (a + b) // 2) for a, b in late_enough if b - a >= shortest * rate]
        if length >= seconds and fitting:
            return max(fitting)[1]
    return start + int(HARD_CUT_SECONDS * rate) if length >= PIECE_RULES[-1][0] else None
