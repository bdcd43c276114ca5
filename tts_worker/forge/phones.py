"""Which sound is heard when: what the semantic codes are taught to tell. PURE.

A transcript of sounds is a string, one character a sound, and the sample at which each ends.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

PAUSE = " "
_STRESS, _LENGTH = "ˈˌ", "ː"
_UNHEARD = frozenset(';:,.!?—…"()“” ')


def merged(symbols: Sequence[str], ends: Sequence[int]) -> tuple[str, list[int]]:
    """Of a teacher's symbols, what is heard: marks of stress begin the sound behind them, marks of length prolong the
    one before, everything that is no sound is a pause."""
    sounds, stops = "", list[int]()
    for symbol, end in zip(symbols, ends, strict=True):
        if symbol in _STRESS:
            continue
        sound = PAUSE if symbol in _UNHEARD else symbol
        if sounds and (symbol in _LENGTH or sound == sounds[-1] == PAUSE):
            stops[-1] = end
        elif symbol not in _LENGTH:
            sounds += sound
            stops.append(end)
    return sounds, stops


def heard(symbols: Iterable[str]) -> str:
    """Those of a teacher's symbols that are sounds, the pause first."""
    return PAUSE + "".join(sorted(set(symbols) - _UNHEARD - {*_STRESS, *_LENGTH}))


Numbers = npt.NDArray[np.int64]


def sounding(classes: Numbers, ends: Numbers, start: int, slots: int, slot: int) -> Numbers:
    """The class heard in the middle of each of `slots` stretches of `slot` samples from sample `start` on; class 0,
    the pause, before the first sound and after the last."""
    middles = start + slot * np.arange(slots) + slot // 2
    place = np.searchsorted(ends, middles, side="right")
    return np.where(middles < 0, 0, np.append(classes, 0)[place])
