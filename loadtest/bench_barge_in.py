"""How soon the agent would fall silent for a caller, and how often it would for nothing.

    python -m loadtest.bench_barge_in [--minutes 10]

Real sound through a real ear: the agent's voice in one direction; in the other babble 15 dB under the caller with a
backchannel every 12 s (false pauses), or interruptions, with and without the agent's echo. Times are at the agent: the
line adds about 90 ms both ways together.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from agent.audio import Samples, frame_samples
from agent.listening.events import BargeIn, ListeningEvent, SpeechStarted
from agent.listening.pool import ListeningPool
from loadtest.performance import RATE
from loadtest.scenario import Noise, Voice
from loadtest.voice import Studio

AGENT = (
    "Good morning, this is the practice of Doctor Miller, how can I help you today?",
    "We are open from Monday to Friday, from eight in the morning until six in the evening.",
    "I have an appointment on Tuesday at half past nine, or on Wednesday at four in the afternoon.",
    "A check-up costs eighty euros and takes half an hour. Please bring your insurance card with you.",
    "You find us in Mill Lane twelve, on the second floor; the bus stop is right in front of the house.",
)
BACKCHANNELS = ("Mm-hm.", "Uh-huh.", "Yeah.", "Okay.", "Right.")
INTERRUPTIONS = (
    "Sorry, how much does a check-up cost?", "No, wait, I meant Thursday.", "Excuse me, can you repeat that?",
    "Stop, that is the wrong day.", "Actually, I would rather come in the morning.", "Hold on a second, please.",
    "But I cannot come on Tuesday.", "What was the address again?", "Can I ask you something?", "Hello? Are you there?",
    "I already have an appointment.", "That is too late for me.", "Could we do Friday instead?", "My name is Harris.",
)  # fmt: skip
Sound = npt.NDArray[np.float64]

CALLERS = (Voice(speed=1.1, pitch=0.9, seed=7), Voice(speed=0.95, pitch=1.06, seed=8), Voice(pitch=0.85, seed=9))


@dataclass(frozen=True, slots=True)
class Heard:
    """An event, and the position at which the ear gave it."""

    at: int
    event: ListeningEvent


@dataclass(slots=True)
class BargeInReport:
    """What was measured, in seconds."""

    minutes: float = 0.0
    backchannels: int = 0
    false_pauses: int = 0
    """While only babble and backchannels were on the line."""
    echo_minutes: float = 0.0
    echo_events: int = 0
    """SpeechStarted and BargeIn while only the agent's echo was on the line."""
    delays: dict[str, list[float]] = field(default_factory=dict)
    """From the first voiced sample to BargeIn, by condition; inf where none came."""


def listen(pool: ListeningPool, caller: Samples, agent: Samples) -> list[Heard]:
    """Play both directions into a new ear, 20 ms at a time."""
    ear, size, heard = pool.open(RATE), frame_samples(RATE), []
    for start in range(0, len(caller) - size + 1, size):
        ear.push(caller[start : start + size])
        ear.agent_speaking(agent[start : start + size])
        pool.process()
        heard += [Heard(ear.position, event) for event in ear.events()]
    pool.close(ear)
    return heard


def agent_track(studio: Studio, seconds: float) -> Samples:
    """The agent talking with short pauses between sentences."""
    clips = [studio.clip(line, Voice(seed=n)).samples for n, line in enumerate(AGENT)]
    gap = np.zeros(RATE // 4, dtype=np.int16)
    return np.resize(np.concatenate([part for clip in clips for part in (clip, gap)]), round(seconds * RATE))


def echo_track(agent: Samples, delay: float, seed: int = 0, level_db: float = -20.0) -> Sound:
    """The agent's voice after a loudspeaker in a room (reverberation of 0.15 s) and a delay."""
    length = round(0.15 * RATE)
    room = np.random.default_rng(seed).standard_normal(length) * np.exp(-6.9 * np.arange(length) / length) * 0.25
    room[0] = 1.0
    spread = np.convolve(agent.astype(np.float64), room)[: len(agent)]
    late: Sound = np.concatenate([np.zeros(round(delay * RATE)), spread])[: len(agent)]
    return late * 10 ** (level_db / 20)


def false_pauses(studio: Studio, pool: ListeningPool, minutes: float, report: BargeInReport) -> None:
    """Babble at 15 dB and a backchannel about every 12 s."""
    rng = np.random.default_rng(5)
    agent = agent_track(studio, minutes * 60)
    line = np.resize(studio.background(Noise(kind="babble", snr_db=15), 1, 60), len(agent)).astype(np.float64)
    greeting = studio.clip("Hello, can you tell me your opening hours?", CALLERS[0])
    line[5 * RATE : 5 * RATE + len(greeting.samples)] += greeting.samples
    at = 14.0
    while at < minutes * 60 - 2:
        voice = Voice(speed=rng.uniform(0.9, 1.2), pitch=rng.uniform(0.85, 1.15), seed=int(rng.integers(99)))
        clip = studio.clip(str(rng.choice(BACKCHANNELS)), voice).samples
        line[round(at * RATE) :][: len(clip)] += clip * 10 ** (-rng.uniform(0, 6) / 20)
        report.backchannels += 1
        at += rng.uniform(10, 14)
    heard = listen(pool, _pcm(line), agent)
    report.minutes += minutes
    report.false_pauses += sum(isinstance(h.event, BargeIn) and h.at > 10 * RATE for h in heard)


def interruptions(studio: Studio, pool: ListeningPool, report: BargeInReport) -> None:
    """Every interruption by every caller, on a clean line, in babble, and over the agent's echo."""
    agent = agent_track(studio, 14)
    babble = np.resize(studio.background(Noise(kind="babble", snr_db=15), 1, 60), len(agent)).astype(np.float64)
    backgrounds = {
        "clean line": np.zeros(len(agent)),
        "babble 15 dB": babble,
        "echo -20 dB": echo_track(agent, 0.2),
    }
    for name, background in backgrounds.items():
        delays = report.delays.setdefault(name, [])
        for n, (voice, text) in enumerate((v, t) for v in CALLERS for t in INTERRUPTIONS):
            line = background.copy()
            # The caller has spoken before, as in every call: the ear knows the level.
            known = studio.clip("Hello, I have a question.", voice)
            line[2 * RATE :][: len(known.samples)] += known.samples
            clip = studio.clip(text, voice)
            start = 10 * RATE + 37 * n
            line[start:][: len(clip.samples)] += clip.samples[: len(line) - start]
            first = start + clip.first_voiced
            heard = listen(pool, _pcm(line), agent)
            times = [h.at for h in heard if isinstance(h.event, BargeIn) and h.at > first]
            delays.append((times[0] - first) / RATE if times else float("inf"))


def echo_only(studio: Studio, pool: ListeningPool, report: BargeInReport) -> None:
    """Nobody speaks, but the agent comes back."""
    agent = agent_track(studio, 40)
    for n, delay in enumerate((0.1, 0.2, 0.3)):
        noise = np.random.default_rng(n).standard_normal(len(agent)) * 32768 * 10 ** (-65 / 20)
        heard = listen(pool, _pcm(echo_track(agent, delay, n) + noise), agent)
        report.echo_minutes += len(agent) / RATE / 60
        report.echo_events += sum(isinstance(h.event, SpeechStarted | BargeIn) for h in heard)


def measure(minutes: float = 10.0) -> BargeInReport:
    """Run everything."""
    studio, pool, report = Studio(), ListeningPool(), BargeInReport()
    false_pauses(studio, pool, minutes, report)
    interruptions(studio, pool, report)
    echo_only(studio, pool, report)
    return report


def table(report: BargeInReport) -> str:
    """For people."""
    lines = [
        f"false pauses: {report.false_pauses} in {report.minutes:g} min of babble, {report.backchannels} backchannels",
        f"events from echo alone: {report.echo_events} in {report.echo_minutes:.1f} min",
        f"{'interruption over':22}{'n':>5}{'p50 ms':>9}{'p95 ms':>9}{'max ms':>9}{'> 310 ms':>10}",
    ]
    for name, delays in report.delays.items():
        p50, p95, worst = (_percentile(delays, q) * 1000 for q in (50, 95, 100))
        late = np.mean(np.array(delays) > 0.31)
        lines.append(f"{name:22}{len(delays):5}{p50:9.0f}{p95:9.0f}{worst:9.0f}{late:10.0%}")
    return "\n".join(lines)


def _percentile(values: Sequence[float], q: float) -> float:
    return float(np.percentile(values, q, method="higher"))


def _pcm(sound: Sound) -> Samples:
    return np.clip(np.round(sound), -32768, 32767).astype(np.int16)


def main(arguments: Iterable[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="of babble and backchannels")
    options = parser.parse_args(None if arguments is None else list(arguments))
    sys.stdout.write(table(measure(options.minutes)) + "\n")


if __name__ == "__main__":
    main()
