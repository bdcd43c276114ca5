"""How loud is the room behind the caller? PURE.

While the agent speaks the caller mostly listens, so what the line brings then is the room: an idle line, a street, a
television, a crowd. Voices in the room are speech to the voice activity model as much as the caller's own. But averaged
over a fifth of a second the room's level hardly moves, and somebody who talks into the telephone is well above it.
"""

from collections import deque

import numpy as np

from agent.listening.events import Window

_KEPT = 250  # windows, 8 s
_RINGS = 10  # windows after one that was echo may hold some of it, though too little to be found
_FEW, _ENOUGH = 8, 60  # a quarter of a second, and two seconds
_LOUD_PART = 80.0
"""Percentile. A backchannel now and then, under a fifth of the time, does not move it."""
_ABOVE_ROOM = 5.0
"""Of 0.22 s of speech. Babble of four to twelve talkers stays 2 dB under that; a caller who is 10 dB over the babble
begins 2 dB over it."""
_UNKNOWN = -28.0
"""dBFS: while the room is not known, only who begins like a caller of ordinary level (-15 to -30 dBFS, more in a vowel)
is certainly no background."""
_HIDDEN = -96.0
_IDLE = -50.0
"""dBFS: a line that is quieter than this has no voices behind the caller."""


class Ambience:
    """The newest seconds of what came while the agent spoke and the caller did not."""

    def __init__(self) -> None:
        self._windows: deque[tuple[int, float]] = deque(maxlen=_KEPT)
        self._echoes = 0
        self._since_echo = _RINGS

    def update(self, window: Window) -> None:
        """Take a window that came while the agent spoke."""
        self._echoes += window.echo
        self._since_echo = 0 if window.echo else self._since_echo + 1
        if self._since_echo >= _RINGS:
            self._windows.append((window.end, window.level))

    def forget_since(self, position: int) -> None:
        """What came from there on was the caller after all."""
        while self._windows and self._windows[-1][0] > position:
            self._windows.pop()

    def exceeded_from(self, position: int) -> float:
        """dBFS that speech which begins at `position` must have, averaged over its beginning, to be the caller's."""
        levels = [level for end, level in self._windows if end <= position]
        if len(levels) < _FEW:  # where the agent's echo hides the room, floor and caller must do
            return _HIDDEN if self._echoes >= _FEW else _UNKNOWN
        room = float(np.percentile(levels, _LOUD_PART))
        if room < _IDLE or len(levels) >= _ENOUGH or self._echoes >= _FEW:
            return room + _ABOVE_ROOM
        return max(room + _ABOVE_ROOM, _UNKNOWN)
