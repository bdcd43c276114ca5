"""The voices of simulated callers: the packaged voice at another speed and pitch, and what is heard behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr
from hibari import Hibari

from agent.audio import Samples
from loadtest.performance import RATE, Clip
from loadtest.scenario import PAUSE, Noise, Voice
from tts_worker.engine import Utterance
from tts_worker.hibari import HibariEngine

SPEECH_DBFS = -23.0
"""Active speech level of a clip: what a phone delivers when held well."""
VOICED_BELOW_PEAK_DB = 35.0
"""A 10 ms step within this of the loudest step belongs to the speech; breath and decay below do not."""
_STEP = RATE // 100
_MARGIN = RATE // 50
"""Left around a clip."""
_BABBLE = (
    "The train was late again this morning, and nobody told us why.",
    "Could you pass me that folder, please, the blue one on the left?",
    "We went to the lake at the weekend, but it rained most of the time.",
    "She said the meeting was moved to the afternoon, so we have an hour.",
    "I think they close at six, but you had better call them first.",
    "No, the other door, the one with the broken handle.",
)

Sound = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class VoicedRange:
    """Half-open range of samples that hold speech."""

    first: int
    last: int


def voiced_range(samples: Samples) -> VoicedRange:
    """Where the speech of a clean clip begins and ends, to 10 ms. All of it where it is silent."""
    steps = samples[: len(samples) // _STEP * _STEP].reshape(-1, _STEP).astype(np.float64)
    power = np.mean(steps**2, axis=1)
    loud = np.flatnonzero(power > max(power.max(initial=0.0) * 10 ** (-VOICED_BELOW_PEAK_DB / 10), 1.0))
    if not len(loud):
        return VoicedRange(0, len(samples))
    return VoicedRange(int(loud[0]) * _STEP, int(loud[-1] + 1) * _STEP)


class Studio:
    """Renders lines before the call. Not quick to make (half a second): one per process."""

    def __init__(self) -> None:
        self._engine: Any = Hibari(threads=1)

    def clip(self, text: str, voice: Voice) -> Clip:
        """A line, trimmed to its speech with 20 ms around it; `[0.6]` in the text becomes a pause."""
        words = PAUSE.sub(" ", text).strip()
        samples = _trimmed(_levelled(self._speak(words, voice)))
        pauses = self._pauses(text, voice.speed / voice.pitch)
        cuts = [_quietest(samples, fraction) for fraction, _ in pauses]
        gaps = [np.zeros(int(seconds * RATE), dtype=np.int16) for _, seconds in pauses]
        pieces = np.split(samples, cuts)
        samples = np.concatenate([pieces[0], *(part for pair in zip(gaps, pieces[1:], strict=True) for part in pair)])
        speech = voiced_range(samples)
        return Clip(words, samples, speech.first, speech.last)

    def background(self, noise: Noise | None, seed: int, seconds: float = 12.0) -> Samples:
        """A loop of noise at its level under SPEECH_DBFS; empty where there is none."""
        if noise is None:
            return np.zeros(0, dtype=np.int16)
        sound = _pink(int(seconds * RATE), seed) if noise.kind == "pink" else self._babble(int(seconds * RATE))
        level = 10 ** ((SPEECH_DBFS - noise.snr_db) / 20) * 32768
        return _pcm(sound / np.sqrt(np.mean(sound**2)) * level)

    def _speak(self, text: str, voice: Voice) -> Sound:
        spoken = self._engine(text, speed=voice.speed / voice.pitch, seed=voice.seed)
        # Played at another rate, pitch and tempo change together; the engine's speed gives the tempo back.
        shifted: Sound = soxr.resample(spoken, self._engine.sample_rate * voice.pitch, RATE)
        return shifted

    def _pauses(self, text: str, speed: float) -> list[tuple[float, float]]:
        """Where in the sound, 0 to 1, and how long."""
        marked = list(PAUSE.finditer(text))
        if not marked:
            return []
        before = [len(PAUSE.sub(" ", text[: mark.start()]).strip()) for mark in marked]
        places = _Clock.of_this_process().fractions(PAUSE.sub(" ", text).strip(), before, speed)
        return [(place, float(mark[1])) for place, mark in zip(places, marked, strict=True)]

    def _babble(self, samples: int) -> Sound:
        talkers: list[Sound] = []
        for n, line in enumerate(_BABBLE):
            one = self._speak(line, Voice(speed=0.9 + 0.05 * n, pitch=0.8 + 0.1 * n, seed=n + 1))
            talkers.append(np.roll(np.resize(one, samples), n * samples // len(_BABBLE)))
        mixed: Sound = np.sum(talkers, axis=0, dtype=np.float32)
        return mixed


class _Clock:
    """When the packaged voice says which letter: the speech worker's engine knows, the package alone does not."""

    def __init__(self) -> None:
        self._engine = HibariEngine()
        self._engine.load()

    @classmethod
    @cache
    def of_this_process(cls) -> "_Clock":
        """Loaded when a pause is first asked for."""
        return cls()

    def fractions(self, text: str, code_points: Sequence[int], speed: float) -> list[float]:
        """How much of the sound, 0 to 1, has passed at each of the code points of `text`."""
        speech = self._engine.begin(Utterance(text, self._engine.voices[0].name, seed=0, speed=speed))
        letters, samples, length, last = [0], [0], 0, False
        while not last:
            (piece,) = self._engine.step([speech])
            letters += [mark.code_point for mark in piece.marks]
            samples += [length + mark.sample for mark in piece.marks]
            spoken = length + max(mark.sample for mark in piece.marks)
            length, last = length + len(piece.samples), piece.last
        return [float(np.interp(at, letters, samples)) / spoken for at in code_points]


def _levelled(sound: Sound) -> Samples:
    active = np.abs(sound) > 0.02 * np.max(np.abs(sound))
    return _pcm(sound / np.sqrt(np.mean(sound[active] ** 2)) * 10 ** (SPEECH_DBFS / 20) * 32768)


def _pcm(sound: npt.NDArray[Any]) -> Samples:
    return np.clip(np.round(sound), -32768, 32767).astype(np.int16)


def _trimmed(samples: Samples) -> Samples:
    speech = voiced_range(samples)
    return samples[max(0, speech.first - _MARGIN) : speech.last + _MARGIN]


def _quietest(samples: Samples, fraction: float) -> int:
    """The quietest 10 ms within 50 ms of `fraction` of the speech: where two words meet."""
    centre, reach = _MARGIN + int(fraction * (len(samples) - 2 * _MARGIN)), RATE // 20
    starts: Sequence[int] = range(max(0, centre - reach), min(len(samples) - _STEP, centre + reach), _STEP // 2)
    return min(
        starts,
        key=lambda at: float(np.sum(np.square(samples[at : at + _STEP], dtype=np.float64))),
        default=len(samples),
    )


def _pink(samples: int, seed: int) -> Sound:
    """Noise whose power falls with frequency."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(samples))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    pink: Sound = np.fft.irfft(spectrum, samples).astype(np.float32)
    return pink
