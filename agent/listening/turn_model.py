"""Smart Turn v3 for all calls of a process: does this intonation sound finished?"""

from collections import deque
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import Any, Self

import numpy as np
import soxr

from agent.audio import Samples
from agent.listening.features import RATE, SECONDS, Floats, log_mel
from agent.listening.models import SMART_TURN, open_session
from services.engine import EngineThread

_BATCH = 4
"""Calls that ask at the same time share an inference. Eight together take half a second, which is too late for all."""


@dataclass(slots=True, eq=False)
class _Question:
    samples: Samples
    rate: int
    answer: float | None = None


class TurnModel:
    """The one session of a process and its thread. An inference takes about 60 ms of a core, so ask once per pause.

    When `limit` questions wait, another raises Busy: the turn is then judged by words and silence alone.
    """

    def __init__(self, limit: int = 16) -> None:
        self._session = open_session(SMART_TURN)
        self._waiting: deque[_Question] = deque()
        self._lock = Lock()
        # An inference fills a core for 60 ms and more; the sound of all calls must not wait for it.
        self._thread = EngineThread("turn-model", limit=limit, nice=10)

    async def __aenter__(self) -> Self:
        """Ready once the first inference, which is the slow one, is done."""
        await self.complete(np.zeros(RATE, dtype=np.int16), RATE)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self._thread.close()

    async def complete(self, samples: Samples, rate: int) -> float:
        """Probability, 0 to 1, that the speech at the end of `samples` is a finished turn.

        `samples` should end shortly (about 0.1 to 0.2 s) after the last voiced one: the model hears less in a longer
        silence. The last 8 s count. Raises Busy, and Unavailable after the end.
        """
        question = _Question(samples[-SECONDS * rate :].copy(), rate)
        with self._lock:
            self._waiting.append(question)
        try:
            return await self._thread.run(lambda: self._answer(question))
        finally:
            with self._lock:
                if question in self._waiting:  # refused, or cancelled before its turn
                    self._waiting.remove(question)

    def _answer(self, question: _Question) -> float:
        """In the thread: answer this question, and with it what else waits, unless an earlier one has done so."""
        if question.answer is None:
            with self._lock:  # this question is the oldest: those before it have been answered or withdrawn
                batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            inputs = {"input_features": np.stack([_features(one.samples, one.rate) for one in batch])}
            for one, probability in zip(batch, self._session.run(None, inputs)[0][:, 0], strict=True):
                one.answer = float(probability)
        if question.answer is None:
            raise RuntimeError("a withdrawn question was asked")
        return question.answer


def _features(samples: Samples, rate: int) -> Floats:
    sound: Any = samples.astype(np.float32) / 32768
    if rate != RATE:
        sound = soxr.resample(sound, rate, RATE, quality="HQ")
    return log_mel(sound)
