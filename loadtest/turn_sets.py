"""Turns for `bench_turns`: sentences with a pause where people stop to think.

Sets are kept apart: `development` is what the rules of agent/listening were written on, `held_out` is only counted. A
pause is put into the sound of the whole sentence, because a voice that speaks half a sentence by itself ends it like a
whole one.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from pytest_audioeval.samples.registry import AudioSample, SampleLang, SampleRegistry

from agent.audio import Samples
from agent.listening.lexical import Expecting
from loadtest.performance import RATE
from loadtest.scenario import Say, Voice
from loadtest.scenarios import load
from loadtest.voice import Studio, voiced_range

SENTENCES = Path(__file__).parent / "data" / "hesitations.toml"
SHORTEST, LONGEST = 0.3, 0.9
"""Seconds of a pause inside a sentence; evenly spread."""
VOICES = (
    Voice(speed=0.95, pitch=0.95, seed=11),
    Voice(speed=1.1, pitch=0.9, seed=3),
    Voice(pitch=1.05, seed=5),
    Voice(speed=0.88, pitch=0.88, seed=7),
    Voice(speed=1.15, pitch=1.0, seed=13),
    Voice(speed=1.0, pitch=1.12, seed=17),
)
RENDERINGS = 2
"""Voices that say a sentence, each with its pause at another mark."""
PLACES = (0.2, 0.35, 0.5, 0.65, 0.8)
"""Where recordings are cut: shares of their length."""
_LEFT = 0.35
"""Seconds of speech on both sides of a cut: what is left of a word alone is no way to go on."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A sentence with pauses, as the line brings it, from its beginning on."""

    source: str
    text: str
    """Empty where the recogniser does not know the language."""
    sound: Samples
    expecting: Expecting | None
    pauses: tuple[tuple[int, int], ...]
    """Position of each pause inside the sentence: half-open."""
    end: int
    """Position after the last voiced sample."""


def spoken_turns(studio: Studio, chosen: str) -> Iterator[Turn]:
    """The sentences of a set by the packaged voice in several guises."""
    rng = np.random.default_rng(4)
    groups = tomllib.loads(SENTENCES.read_text("utf-8"))[chosen]
    sentences = [(text, expecting) for expecting, texts in groups.items() for text in texts]
    for number, (text, expecting) in enumerate(sentences):
        marks = [character for character in text if character in "|/"]
        for n in range(RENDERINGS):
            kept = n % max(1, len(marks))
            line = _with_pause(text, kept, rng.uniform(SHORTEST, LONGEST))
            clip = studio.clip(line, VOICES[(RENDERINGS * number + n) % len(VOICES)])
            place = "no pause" if not marks else "could end there" if marks[kept] == "/" else "in a phrase"
            asked = None if expecting == "anything" else expecting
            yield _turn(f"packaged voice, {place}", clip.text, clip.samples, asked)


def scenario_turns(studio: Studio) -> Iterator[Turn]:
    """The lines of the scenario `hesitating`, all their pauses in place, by three voices."""
    for step in load("hesitating").steps:
        if not isinstance(step, Say):
            continue
        for voice in VOICES[:3]:
            clip = studio.clip(step.say.replace("{wanted}", "Tuesday"), voice)
            yield _turn("scenario hesitating", clip.text, clip.samples, None)


def _with_pause(sentence: str, kept: int, seconds: float) -> str:
    parts = re.split(r"[|/]", sentence)
    return parts[0] + "".join((f"[{seconds:.2f}]" if n == kept else "") + part for n, part in enumerate(parts[1:]))


def recorded_turns() -> Iterator[Turn]:
    """The samples of pytest-audioeval, each with a pause at quiet places inside it.

    They are voices that nothing here was made with, but hardly people: silence is digital in all 27, nearly all begin
    after 50 ms and end with 0.36 s of it, and the package is made for testing a voice server.
    """
    rng = np.random.default_rng(5)
    for sample in SampleRegistry().all():
        sound = soxr.resample(sample.audio_numpy(), sample.sample_rate, RATE)
        samples = (sound / np.abs(sound).max() * 12000).astype(np.int16)
        speech = voiced_range(samples)
        samples = samples[speech.first : speech.last]
        cuts = {_quiet_place(samples, share) for share in PLACES}
        for cut in sorted(cut for cut in cuts if _LEFT * RATE <= cut <= len(samples) - _LEFT * RATE):
            gap = np.zeros(round(rng.uniform(SHORTEST, LONGEST) * RATE), dtype=np.int16)
            text = sample.reference_text if sample.lang == SampleLang.EN else ""
            yield _turn(_source(sample), text, np.concatenate([samples[:cut], gap, samples[cut:]]), None)


def _source(sample: AudioSample) -> str:
    """Somebody who counts or says hello could stop after any word; the third sample of a language is a sentence."""
    language = "English" if sample.lang == SampleLang.EN else "8 other languages"
    sentence = sample.name in ("pangrama", "quick_brown_fox", "pangram")
    return f"other voices, {language}, {'in a phrase' if sentence else 'could end there'}"


def _quiet_place(samples: Samples, share: float) -> int:
    centre, reach, step = int(share * len(samples)), round(0.15 * RATE), RATE // 100
    places = range(max(0, centre - reach), centre + reach, step // 2)
    return min(places, key=lambda at: float(np.sum(np.square(samples[at : at + 2 * step], dtype=np.float64)))) + step


def _turn(source: str, text: str, samples: Samples, expecting: Any) -> Turn:
    """On a line with a little noise, through G.711; the pauses are where the sound is digital silence."""
    silent = np.concatenate([[False], samples == 0, [False]])
    edges = np.flatnonzero(np.diff(silent.astype(int)))
    pauses = [(int(a) + RATE, int(b) + RATE) for a, b in edges.reshape(-1, 2) if b - a >= 0.25 * RATE]
    line = np.concatenate([np.zeros(RATE), samples, np.zeros(3 * RATE)])
    line += np.random.default_rng(len(samples)).standard_normal(len(line)) * 32768 * 10 ** (-68 / 20)
    end = RATE + voiced_range(samples).last
    return Turn(source, text, _mu_law(line), expecting, tuple(pauses), end)


def _mu_law(sound: Any) -> Samples:
    x = np.clip(sound / 32768, -1, 1)
    steps = np.round(np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256) * 127) / 127
    decoded: Samples = (np.sign(steps) * (256 ** np.abs(steps) - 1) / 255 * 32767).astype(np.int16)
    return decoded
