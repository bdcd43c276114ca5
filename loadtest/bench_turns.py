"""Does the agent wait for a caller who hesitates, and how long does one who has finished wait for the agent?

    python -m loadtest.bench_turns [--set held_out]

Spoken sentences are cut where people stop to think (`data/hesitations.toml`) and a pause of 0.3 to 0.9 s is put there;
the ear, the turn model and the recogniser hear them through G.711 as in a call. Cutting matters: a voice that speaks
half a sentence by itself ends it like a whole one. Recordings of people (pytest-audioeval) are cut at quiet places
inside their sentences; the recogniser knows English only, so in other languages sound and silence decide alone.
"""

import argparse
import asyncio
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from pytest_audioeval.samples.registry import SampleLang, SampleRegistry

from agent.audio import Samples
from agent.listening.endpoint import required_silence
from agent.listening.events import SpeechStarted, SpeechStopped
from agent.listening.lexical import Expecting, Verdict, verdict
from agent.listening.pool import ListeningPool
from agent.listening.turn_model import TurnModel
from loadtest.performance import RATE
from loadtest.scenario import Say, Voice
from loadtest.scenarios import load
from loadtest.voice import Studio, voiced_range
from stt_worker.build import engine
from stt_worker.config import SttSettings
from stt_worker.transcribe import recognise

SENTENCES = Path(__file__).parent / "data" / "hesitations.toml"
SHORTEST, LONGEST = 0.3, 0.9
TRANSCRIPT_DELAY = 0.2
"""Seconds from the ear's SpeechStopped to the words: a speculative decode."""
_FRAME = RATE // 50
VOICES = (Voice(speed=0.95, pitch=0.95, seed=11), Voice(speed=1.1, pitch=0.9, seed=3), Voice(pitch=1.05, seed=5))


@dataclass(frozen=True, slots=True)
class Turn:
    """A sentence with pauses, as the line brings it, from its beginning on."""

    source: str
    text: str
    sound: Samples
    expecting: Expecting | None
    pauses: tuple[tuple[int, int], ...]
    """Position of each pause inside the sentence: half-open."""
    end: int
    """Position after the last voiced sample."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A silence that the ear heard, and what was known in it."""

    last: int
    told: int
    """When SpeechStopped came."""
    resumed: int | None
    """When the ear heard the caller again; None: never."""
    probability: float
    words: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A way to decide, for comparison."""

    name: str
    seconds: Callable[[float, Verdict, Expecting | None], float]


RULES = (
    Rule("words and sound", required_silence),
    Rule("words only", lambda _, words, expecting: required_silence(None, words, expecting)),
    Rule("sound only", lambda p, _, expecting: required_silence(p, Verdict.UNSURE, expecting)),
    Rule("0.7 s of silence", lambda *_: 0.7),
)


@dataclass(slots=True)
class TurnsReport:
    """Of one source by one rule."""

    source: str
    rule: str
    turns: int = 0
    cut_in: list[str] = field(default_factory=list)
    """What the caller had said so far when the agent began to speak."""
    waits: list[float] = field(default_factory=list)
    """Seconds from the caller's last voiced sample to the decision, in turns that were heard out."""


def spoken_turns(studio: Studio, chosen: str) -> Iterator[Turn]:
    """The sentences of a set by three voices, each voice pausing at another mark."""
    rng = np.random.default_rng(4)
    for item in tomllib.loads(SENTENCES.read_text("utf-8"))[chosen]:
        marks = [character for character in item["say"] if character in "|/"]
        for n, voice in enumerate(VOICES):
            kept = n % max(1, len(marks))
            clip = studio.clip(_with_pause(item["say"], kept, rng.uniform(SHORTEST, LONGEST)), voice)
            place = "could end there" if marks and marks[kept] == "/" else "in a phrase"
            yield _turn(f"packaged voice, {place}", clip.text, clip.samples, item.get("expecting"))


def scenario_turns(studio: Studio) -> Iterator[Turn]:
    """The lines of the scenario `hesitating`, all their pauses in place, by three voices."""
    for step in load("hesitating").steps:
        if not isinstance(step, Say):
            continue
        for voice in VOICES:
            clip = studio.clip(step.say.replace("{wanted}", "Tuesday"), voice)
            yield _turn("scenario hesitating", clip.text, clip.samples, None)


def _with_pause(sentence: str, kept: int, seconds: float) -> str:
    parts = re.split(r"[|/]", sentence)
    return parts[0] + "".join((f"[{seconds:.2f}]" if n == kept else "") + part for n, part in enumerate(parts[1:]))


def human_turns() -> Iterator[Turn]:
    """Recordings of people, each with a pause at a quiet place inside it, and whole."""
    rng = np.random.default_rng(5)
    for sample in SampleRegistry().all():
        sound = soxr.resample(sample.audio_numpy(), sample.sample_rate, RATE)
        samples = (sound / np.abs(sound).max() * 12000).astype(np.int16)
        speech = voiced_range(samples)
        samples = samples[speech.first : speech.last]
        source = "people, English" if sample.lang == SampleLang.EN else "people, 8 other languages"
        for fraction in (0.35, 0.5, 0.65):
            cut = _quiet_place(samples, fraction)
            gap = np.zeros(round(rng.uniform(SHORTEST, LONGEST) * RATE), dtype=np.int16)
            text = sample.reference_text if sample.lang == SampleLang.EN else ""
            yield _turn(source, text, np.concatenate([samples[:cut], gap, samples[cut:]]), None)


def _quiet_place(samples: Samples, fraction: float) -> int:
    centre, reach, step = int(fraction * len(samples)), round(0.15 * RATE), RATE // 100
    places = range(centre - reach, centre + reach, step // 2)
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


class Listener:
    """What a call has: an ear, the turn model, the recogniser."""

    def __init__(self, turn_model: TurnModel) -> None:
        self._pool = ListeningPool()
        self._turn_model = turn_model
        self._recogniser = engine(SttSettings.read({}))

    async def pauses(self, turn: Turn) -> list[Pause]:
        """Every pause that is heard, with what the models say in it."""
        ear = self._pool.open(RATE)
        found: list[tuple[int, int, int | None, float]] = []
        first = None
        for at in range(0, len(turn.sound) - _FRAME + 1, _FRAME):
            ear.push(turn.sound[at : at + _FRAME])
            self._pool.process()
            for event in ear.events():
                if isinstance(event, SpeechStarted):
                    first = event.first if first is None else first
                    if found:
                        last, told, _, probability = found[-1]
                        found[-1] = (last, told, ear.position, probability)
                elif isinstance(event, SpeechStopped) and found and found[-1][2] is None:
                    found[-1] = (event.last, *found[-1][1:])  # the same pause, a little later
                elif isinstance(event, SpeechStopped):
                    probability = await self._turn_model.complete(ear.recent(), RATE)
                    found.append((event.last, ear.position, None, probability))
        self._pool.close(ear)
        begin = max(0, (first or 0) - round(0.3 * RATE))
        return [Pause(*pause, self._words(turn, begin, pause[1])) for pause in found]

    def _words(self, turn: Turn, begin: int, end: int) -> str:
        return recognise(self._recogniser, turn.sound[begin:end], RATE).text if turn.text else ""


def judge(turn: Turn, pauses: Sequence[Pause], rule: Rule, report: TurnsReport) -> None:
    """When would the agent have begun to speak?"""
    report.turns += 1
    for pause in pauses:
        seconds = rule.seconds(pause.probability, verdict(pause.words, turn.expecting), turn.expecting)
        decided = max(pause.last + seconds * RATE, pause.told + TRANSCRIPT_DELAY * RATE)
        if pause.resumed is not None and pause.resumed <= decided:
            continue
        if any(begin - 0.2 * RATE <= pause.last < end for begin, end in turn.pauses):
            report.cut_in.append(f"{pause.words} ({pause.probability:.2f})")
        elif pause.last < turn.end - 0.25 * RATE:
            report.cut_in.append(f"{pause.words} ({pause.probability:.2f}, no pause)")
        else:
            report.waits.append((decided - turn.end) / RATE)
        return


async def measure(chosen: str) -> list[TurnsReport]:
    """All sources by all rules."""
    reports: dict[tuple[str, str], TurnsReport] = {}
    async with TurnModel() as turn_model:
        listener = Listener(turn_model)
        studio = Studio()
        turns = [*scenario_turns(studio), *spoken_turns(studio, chosen), *human_turns()]
        for turn in turns:
            pauses = await listener.pauses(turn)
            for rule in RULES:
                report = reports.setdefault((turn.source, rule.name), TurnsReport(turn.source, rule.name))
                judge(turn, pauses, rule, report)
    return list(reports.values())


def table(reports: Sequence[TurnsReport]) -> str:
    """For people."""
    lines = [f"{'source':34}{'rule':20}{'turns':>6}{'cut in':>8}{'wait p50':>10}{'p95 ms':>9}"]
    for report in reports:
        p50, p95 = (np.percentile(report.waits, (50, 95)) * 1000) if report.waits else (np.nan, np.nan)
        share = len(report.cut_in) / report.turns
        lines.append(f"{report.source:34}{report.rule:20}{report.turns:6}{share:8.1%}{p50:10.0f}{p95:9.0f}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", default="held_out", choices=("development", "held_out"), help="of sentences")
    parser.add_argument("--verbose", action="store_true", help="also where the agent cut in")
    options = parser.parse_args()
    reports = asyncio.run(measure(options.set))
    sys.stdout.write(table(reports) + "\n")
    if options.verbose:
        for report in reports:
            sys.stdout.write(f"{report.source}, {report.rule}: {report.cut_in}\n")


if __name__ == "__main__":
    main()
