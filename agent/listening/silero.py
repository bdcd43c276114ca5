"""Silero voice activity for many streams in one inference, each stream a row with its own memory."""

import numpy as np
import numpy.typing as npt

from agent.listening.models import SILERO, open_session

Floats = npt.NDArray[np.float32]

_MEMORY = 128  # width of the model's recurrent state, which has two layers
WINDOW_SECONDS = 0.032

# The model's memory drifts in long silence, noise and music, after which it misses speech. So it is cleared about every
# two seconds, but only in clear silence: a reset in speech costs confidence. Interval, level and run of windows are
# pipecat's (`audio/vad/silero.py`, 1.14), which measured them.
_RESET_AFTER = 2.0
_RESET_BELOW = 0.1
_RESET_RUN = 5


def window_samples(rate: int) -> int:
    """Samples of one window: 256 at 8000, 512 at 16000. Raises ValueError for other rates."""
    if rate not in (8000, 16000):
        raise ValueError(f"voice activity runs at 8000 or 16000 samples a second, not {rate}")
    return 256 if rate == 8000 else 512


def context_samples(rate: int) -> int:
    """Samples before the window that the model sees again: 32 at 8000, 64 at 16000."""
    return window_samples(rate) // 8


class Memory:
    """What the model knows of one stream. Owned by that stream's ear, read and written by `VoiceModel.run`."""

    def __init__(self, rate: int) -> None:
        self.state: Floats = np.zeros((2, 1, _MEMORY), dtype=np.float32)
        self.fresh = True
        """Reset, and nothing has been scored since: the context of the next window is silence too."""
        self._windows = 0
        self._low = 0
        self._due = int(_RESET_AFTER / WINDOW_SECONDS)

    def settle(self, probability: float, quiet: bool) -> None:
        """Count the window just scored, and reset when that is due. `quiet`: no speech is under way."""
        if self.fresh:  # it was passed over
            return
        self._windows += 1
        self._low = self._low + 1 if probability < _RESET_BELOW else 0
        if self._windows >= self._due and quiet and self._low >= _RESET_RUN:
            self.state = np.zeros_like(self.state)
            self.fresh = True
            self._windows = 0


class VoiceModel:
    """The session that all calls of a process share."""

    def __init__(self) -> None:
        self._session = open_session(SILERO)
        self._rates = {rate: np.array(rate, dtype=np.int64) for rate in (8000, 16000)}
        for rate in (8000, 16000):  # the first run of a shape allocates
            self.run(rate, np.zeros((1, context_samples(rate) + window_samples(rate)), np.float32), [Memory(rate)])

    def run(self, rate: int, sound: Floats, memories: list[Memory]) -> list[float]:
        """Probability of speech in each row of `sound` (rows, context + window), -1 to 1; advances the memories."""
        state = np.concatenate([memory.state for memory in memories], axis=1)  # (2, rows, 128)
        inputs = {"input": sound, "state": state, "sr": self._rates[rate]}
        probability, state = self._session.run(None, inputs)
        for row, memory in enumerate(memories):
            memory.state = state[:, row : row + 1]
            memory.fresh = False
        scores: list[float] = probability[:, 0].tolist()
        return scores
