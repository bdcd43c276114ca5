"""The packaged voice as a teacher: what it says, and when each sound of it is heard. Its intonation can be varied,
since the network gives the pitch as a curve of its own."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from hibari import dsp
from hibari.tts import ASSETS

from tts_worker.engine import SAMPLE_RATE, Sound, Utterance
from tts_worker.forge.phones import PAUSE, heard, merged
from tts_worker.hibari import HibariEngine
from tts_worker.pronunciation import read
from tts_worker.sound import faded, loud_windows, voiced_range
from tts_worker.text import pause_after

SPEAKER, LICENCE = "heart", "Apache-2.0"
_STEP = 600
"""Samples of the network's unit of duration."""
_VOICED = 40.0
"""Hz below which the network means: no pitch."""


@dataclass(frozen=True)
class Manner:
    """How a text is said."""

    speed: float = 1.0
    pitch: float = 0.0
    """Semitones up."""
    liveliness: float = 1.0
    """By which the rises and falls of the pitch are multiplied."""


@dataclass(frozen=True)
class Take:
    """A text, spoken."""

    sound: Sound
    phones: str
    ends: list[int]
    """Sample at which each of `phones` ends."""


class Teacher(HibariEngine):
    """`load` it first. Not for several threads at once."""

    def say(self, text: str, manner: Manner, seed: int) -> Take:
        """All sentences of a text, with pauses between them and none around."""
        speech = self.begin(Utterance(text, SPEAKER, seed=seed))
        noise = np.random.default_rng(seed)
        sounds: list[Sound] = []
        symbols: list[str] = []
        ends: list[int] = []
        length = 0
        for start, stop in speech.units:
            unit = speech.text[start:stop]
            reading = read(self._g2p, unit)
            for first, end in reading.parts():
                take, stops = self._take(reading.phonemes[first:end], manner, noise)
                symbols += [PAUSE, *reading.phonemes[first:end], PAUSE, PAUSE]
                gap = round(pause_after(unit) / manner.speed * SAMPLE_RATE)
                ends += [length + int(s) for s in stops] + [length + len(take) + gap]
                sounds += [take, np.zeros(gap, np.float32)]
                length += len(take) + gap
        if not sounds:
            return Take(np.zeros(0, np.float32), "", [])
        sound = np.concatenate(sounds[:-1])
        phones, stops_of = merged(symbols, ends)
        return Take(sound, phones, [min(end, len(sound)) for end in stops_of])

    def _take(self, phonemes: str, manner: Manner, noise: np.random.Generator) -> tuple[Sound, npt.NDArray[np.int64]]:
        """Trimmed sound, and the samples at which the silence in front, each phoneme, and the silence behind end."""
        known = [self._vocabulary.get(c, -1) for c in phonemes]
        feeds = {
            "ids": np.asarray([[0, *(i for i in known if i >= 0), 0]], np.int64),
            "speed": np.asarray([manner.speed], np.float32),
        }
        *spectrum, f0, ends = self._session.run(None, feeds)
        sound = dsp.synth(*(part[0] for part in spectrum), intoned(f0[0], manner), noise)
        position = np.cumsum([1, *(i >= 0 for i in known), 1]) - 1
        begin, stop = voiced_range(loud_windows(sound))
        return faded(sound[begin:stop]), np.clip(np.asarray(ends, np.int64)[position] * _STEP, begin, stop) - begin


def intoned(pitch: npt.NDArray[np.float32], manner: Manner) -> npt.NDArray[np.float32]:
    """A curve of pitches in Hz [T], moved and stretched around its mean; where there is none, none."""
    voiced = pitch > _VOICED
    if not voiced.any():
        return pitch
    height = np.log2(np.where(voiced, pitch, 1.0))
    mean = height[voiced].mean()
    moved = 2.0 ** (mean + manner.liveliness * (height - mean) + manner.pitch / 12)
    return np.where(voiced, moved, pitch).astype(np.float32)


def phones() -> str:
    """Every sound that the teacher could say, the pause first."""
    return heard(json.loads((Path(ASSETS) / "vocab.json").read_text(encoding="utf-8")))
