"""An engine without a model, for load tests and for tests of the agent: so many seconds of sound, so many words."""

import time
from collections.abc import Callable

import numpy as np

from stt_worker.config import SttSettings
from stt_worker.engine import NOTHING, RATE, Decoding, Utterance, Word

SECONDS_PER_WORD = 0.4
_VOCABULARY = (
    "i", "would", "like", "to", "book", "an", "appointment", "for", "next", "tuesday", "morning", "please",
)  # fmt: skip
_FRAME = RATE // 50
_SOUND = 10 ** (-55 / 20)


class ScriptedEngine:
    """Writes the same words again and again, one for every 0.4 s of sound; a longer utterance begins like a shorter."""

    def __init__(self, settings: SttSettings) -> None:
        self._delay = settings.scripted_delay

    @property
    def name(self) -> str:
        """Says that no model is behind it."""
        return "scripted"

    def understands(self, language: str) -> bool:
        """Every language alike."""
        return True

    def decode(self, utterance: Utterance, give_up: Callable[[], bool]) -> Decoding | None:
        """Takes the set delay in two halves, and asks `give_up` between them."""
        time.sleep(self._delay / 2)
        if give_up():
            return None
        time.sleep(self._delay / 2)
        ends = _word_ends(utterance)
        if not ends:
            return NOTHING
        words = tuple(
            Word(_VOCABULARY[i % len(_VOCABULARY)], max(0.0, end - SECONDS_PER_WORD), end, 1.0)
            for i, end in enumerate(ends)
        )
        return Decoding(" ".join(word.text for word in words), words if utterance.words else (), 0.0)


def _word_ends(utterance: Utterance) -> list[float]:
    """Where each 0.4 s of sound is full, in seconds; one word at least if there is sound at all."""
    whole = len(utterance.samples) // _FRAME * _FRAME
    frames = utterance.samples[:whole].reshape(-1, _FRAME)
    sound = np.sqrt(np.mean(np.square(frames), axis=1)) > _SOUND if whole else np.zeros(0, bool)
    total = np.cumsum(sound) * 0.02
    if not len(total) or total[-1] < 0.06:
        return []
    count = max(1, int(total[-1] / SECONDS_PER_WORD + 1e-6))
    targets = np.minimum(np.arange(1, count + 1) * SECONDS_PER_WORD, total[-1])
    ends: list[float] = ((np.searchsorted(total, targets - 1e-9) + 1) * 0.02).tolist()
    return ends
