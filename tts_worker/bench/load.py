"""So many streams at any time: one that ends is followed by the next. What each of them waited for.

At the start they are of rising lengths, so that their ends are spread; those count that begin after it.
"""

import time
from dataclasses import dataclass, field
from statistics import median

from tts_worker.bench.random import VOICE, text
from tts_worker.engine import FRAME_SECONDS, SAMPLE_RATE, Piece, Utterance
from tts_worker.sound import Encoding, encode
from tts_worker.speaking import Speaking
from tts_worker.voxtral import VoxtralEngine

_FEWEST = 8
"""Streams that are measured even where fewer speak at once."""
_SLACK = 0.005
"""Seconds that a listener's own buffer hides."""


@dataclass(frozen=True)
class Task:
    """What every stream says."""

    characters: int
    frames: int


@dataclass
class Listener:
    """One stream, and when its sound came. Seconds."""

    speech: Speaking
    began: float
    counts: bool
    arrivals: list[tuple[float, float]] = field(default_factory=list)
    """When a piece came, and how much sound it holds."""

    @property
    def first_audio(self) -> float:
        """From its beginning."""
        return self.arrivals[0][0] - self.began

    @property
    def real_time_factor(self) -> float:
        """Seconds of waiting for a second of sound."""
        return (self.arrivals[-1][0] - self.began) / sum(seconds for _, seconds in self.arrivals)

    @property
    def starved(self) -> bool:
        """It had played everything before more came."""
        played = self.arrivals[0][0] + _SLACK
        for came, seconds in self.arrivals:
            if came > played:
                return True
            played += seconds
        return False


@dataclass(frozen=True)
class Load:
    """What came of it. Seconds."""

    streams: int
    first_audio_p50: float
    first_audio_p95: float
    real_time_factor: float
    """Median over streams."""
    real_time_factor_worst: float
    characters_per_second: float
    step: float
    """Median time from one step to the next while all streams speak."""
    measured: int
    """Streams that count."""
    starved: int
    """Of them."""

    @property
    def keeps_up(self) -> bool:
        """Every stream hears its sound in time, and its beginning soon."""
        return self.real_time_factor_worst < 1 and not self.starved and self.first_audio_p95 <= 0.3


class Crowd:
    """Keeps `streams` streams speaking."""

    def __init__(self, engine: VoxtralEngine, streams: int, task: Task) -> None:
        self._engine, self._streams, self._task = engine, streams, task
        self._seed = 0
        self._listeners: dict[Speaking, Listener] = {}
        self._done: list[Listener] = []
        self._steps: list[float] = []

    def run(self, wanted: int) -> tuple[list[Listener], list[float]]:
        """Until `wanted` streams that count have ended: these, and the lengths of the steps with all streams."""
        for place in range(self._streams):
            share = (place + 1) / self._streams
            self._begin(max(1, round(share * self._task.frames)), counts=False)
        while len(self._done) < wanted:
            self._step()
        return self._done, self._steps

    def _begin(self, frames: int, counts: bool) -> None:
        self._seed += 1
        began = time.perf_counter()
        speech = self._engine.begin(Utterance(text(self._task.characters), VOICE, self._seed))
        speech.most = frames
        self._listeners[speech] = Listener(speech, began, counts)

    def _step(self) -> None:
        began = time.perf_counter()
        speeches = list(self._listeners)
        for speech, piece in zip(speeches, self._engine.step(speeches), strict=True):
            if isinstance(piece, Exception):
                raise piece
            if piece is not None:
                self._take(self._listeners[speech], piece)
        self._steps.append(time.perf_counter() - began)

    def _take(self, listener: Listener, piece: Piece) -> None:
        encode(piece.samples, SAMPLE_RATE, Encoding.PCM_S16LE, piece.before)
        listener.arrivals.append((time.perf_counter(), piece.frames * FRAME_SECONDS))
        if piece.last:
            del self._listeners[listener.speech]
            if listener.counts:
                self._done.append(listener)
            self._begin(self._task.frames, counts=True)

    def leave(self) -> None:
        """Everybody at once."""
        for speech in self._listeners:
            self._engine.end(speech)


def measure(engine: VoxtralEngine, streams: int, task: Task) -> Load:
    """With so many streams."""
    crowd = Crowd(engine, streams, task)
    listeners, steps = crowd.run(max(streams, _FEWEST))
    crowd.leave()
    firsts = sorted(listener.first_audio for listener in listeners)
    factors = sorted(listener.real_time_factor for listener in listeners)
    ends = [listener.arrivals[-1][0] for listener in listeners]
    return Load(
        streams=streams,
        first_audio_p50=median(firsts),
        first_audio_p95=firsts[int(0.95 * (len(firsts) - 1))],
        real_time_factor=median(factors),
        real_time_factor_worst=factors[-1],
        characters_per_second=(len(listeners) - 1) * task.characters / (max(ends) - min(ends)),
        step=median(steps),
        measured=len(listeners),
        starved=sum(listener.starved for listener in listeners),
    )
