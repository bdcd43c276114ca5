"""What one process hears on all its calls, with one inference per tick for all of them."""

import numpy as np

from agent.listening.activity import ActivityRules
from agent.listening.ear import KEEP_SECONDS, Ear
from agent.listening.models import load_onsets
from agent.listening.silero import Floats, VoiceModel, context_samples, window_samples

__all__ = ["KEEP_SECONDS", "Ear", "ListeningPool"]

_SILENT = ActivityRules().silence
"""dBFS; windows without a louder part are not voiced, whatever their probability."""


class ListeningPool:
    """All ears of a process.

    `process` runs in the event loop. Scoring ten calls takes half a millisecond of a tick, forty 1.4; a hop to another
    thread and back would add 0.13 ms of processor time and let nothing else run sooner that matters.
    """

    def __init__(self) -> None:
        self._model = VoiceModel()
        self._onsets = load_onsets()
        self._ears: dict[int, list[Ear]] = {8000: [], 16000: []}

    def open(self, rate: int) -> Ear:
        """An ear for a call at 8000 or 16000 samples a second. Raises ValueError for other rates."""
        ear = Ear(rate, self._onsets)
        self._ears[rate].append(ear)
        return ear

    def close(self, ear: Ear) -> None:
        """The call has ended. Does nothing for an ear that is closed already."""
        if ear in self._ears[ear.rate]:
            self._ears[ear.rate].remove(ear)

    def process(self) -> None:
        """Score every whole window that has been pushed: one inference per rate, more only to catch up."""
        for rate, ears in self._ears.items():
            ready = [ear for ear in ears if ear.ready()]
            while ready:
                self._score(rate, ready)
                ready = [ear for ear in ready if ear.ready()]

    def _score(self, rate: int, ears: list[Ear]) -> None:
        context = context_samples(rate)
        sound = np.empty((len(ears), context + window_samples(rate)), dtype=np.float32)
        for row, ear in zip(sound, ears, strict=True):
            ear.fill(row)
        power = np.square(sound[:, context:]).reshape(len(ears), 4, -1).mean(axis=2)
        parts = 10 * np.log10(power + 1e-10)
        levels = 10 * np.log10(power.mean(axis=1) + 1e-10)
        awake = [
            row
            for row, (ear, loudest) in enumerate(zip(ears, parts.max(axis=1).tolist(), strict=True))
            if loudest >= _SILENT or not ear.memory.fresh
        ]
        probabilities = self._probabilities(rate, sound, ears, awake)
        for ear, probability, (a, b, c, d), level in zip(
            ears, probabilities, parts.tolist(), levels.tolist(), strict=True
        ):
            ear.take(probability, (a, b, c, d), level)

    def _probabilities(self, rate: int, sound: Floats, ears: list[Ear], awake: list[int]) -> list[float]:
        """Of each row. Those not `awake` are passed over: an empty memory need not hear what can be no speech."""
        probabilities = [0.0] * len(ears)
        if awake:
            heard = sound if len(awake) == len(ears) else sound[awake]
            scores = self._model.run(rate, heard, [ears[row].memory for row in awake])
            for row, score in zip(awake, scores, strict=True):
                probabilities[row] = score
        return probabilities
