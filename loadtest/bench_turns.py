"""Does the agent wait for a caller who hesitates, and how long does one who has finished wait for the agent?

    python -m loadtest.bench_turns [--set held_out]

The ear, the turn model and the recogniser hear the turns of `turn_sets` through G.711 as in a call, on the clock of the
samples: no sound is played and nothing here depends on how fast the machine is.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import sqrt

import numpy as np

from agent.listening.endpoint import PATIENT, QUICK, USUAL, required_silence
from agent.listening.events import SpeechStarted, SpeechStopped
from agent.listening.lexical import Expecting, Verdict, verdict
from agent.listening.pool import ListeningPool
from agent.listening.turn_model import TurnModel
from agent.turns import Policy
from loadtest.performance import RATE
from loadtest.turn_sets import Turn, recorded_turns, scenario_turns, spoken_turns
from loadtest.voice import Studio
from stt_worker.build import engine
from stt_worker.config import SttSettings
from stt_worker.transcribe import recognise

TRANSCRIPT_DELAY = 0.2
"""Seconds from the ear's SpeechStopped to the words: a speculative decode."""
JUDGE_AFTER = Policy(lambda *_: 0.0).judge_after
_FRAME = RATE // 50


@dataclass(frozen=True, slots=True)
class Pause:
    """A silence that the ear heard, and what was known in it."""

    last: int
    told: int
    """When SpeechStopped came."""
    resumed: int | None
    """When the ear heard the caller again; None: never."""
    probability: float | None
    """None: the pause was too short to ask the turn model."""
    words: str
    confidence: float = 1.0
    """The recogniser's in the last word."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A way to decide, for comparison."""

    name: str
    seconds: Callable[[float | None, Verdict, Expecting | None], float]


USED = "words and sound"
RULES = (
    Rule(USED, lambda p, words, asked: required_silence(p, words, asked, patience=USUAL)),
    Rule("the same, quicker", lambda p, words, asked: required_silence(p, words, asked, patience=QUICK)),
    Rule("the same, more patient", lambda p, words, asked: required_silence(p, words, asked, patience=PATIENT)),
    Rule("words only", lambda _, words, asked: required_silence(None, words, asked)),
    Rule("sound only", lambda p, _, asked: required_silence(p, Verdict.UNSURE, asked)),
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


def together(reports: Iterable[TurnsReport], source: str, rule: str) -> TurnsReport:
    """Several reports as one."""
    total = TurnsReport(source, rule)
    for report in reports:
        total.turns += report.turns
        total.cut_in += report.cut_in
        total.waits += report.waits
    return total


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share, after Wilson (1927): right also near 0, where the usual one is not."""
    if not of:
        return 0.0, 1.0
    z, share = 1.96, hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


class Listener:
    """What a call has: an ear, the turn model, the recogniser."""

    def __init__(self, turn_model: TurnModel) -> None:
        self._pool = ListeningPool()
        self._turn_model = turn_model
        self._recogniser = engine(SttSettings.read({}))

    async def pauses(self, turn: Turn) -> list[Pause]:
        """Every pause that is heard, with what the models say in it."""
        ear = self._pool.open(RATE)
        found: list[tuple[int, int, int | None, float | None]] = []
        first = None
        for at in range(0, len(turn.sound) - _FRAME + 1, _FRAME):
            ear.push(turn.sound[at : at + _FRAME])
            self._pool.process()
            for event in ear.events():
                if isinstance(event, SpeechStarted):
                    first = event.first if first is None else first
                    if found and found[-1][2] is None:
                        last, told, _, probability = found[-1]
                        found[-1] = (last, told, ear.position, probability)
                elif isinstance(event, SpeechStopped) and found and found[-1][2] is None:
                    found[-1] = (event.last, *found[-1][1:])  # the same pause, a little later
                elif isinstance(event, SpeechStopped):
                    found.append((event.last, ear.position, None, None))
            if found and found[-1][2:] == (None, None) and ear.position - found[-1][0] >= JUDGE_AFTER * RATE:
                found[-1] = (*found[-1][:3], await self._turn_model.complete(ear.recent(), RATE))
        self._pool.close(ear)
        begin = max(0, (first or 0) - round(0.3 * RATE))
        return [Pause(*pause, *self._words(turn, begin, pause[1])) for pause in found]

    def _words(self, turn: Turn, begin: int, end: int) -> tuple[str, float]:
        if not turn.text:
            return "", 1.0
        understood = recognise(self._recogniser, turn.sound[begin:end], RATE)
        return understood.text, understood.words[-1].confidence if understood.words else 1.0


def judge(turn: Turn, pauses: Sequence[Pause], rule: Rule, report: TurnsReport) -> None:
    """When would the agent have begun to speak?"""
    report.turns += 1
    for pause in pauses:
        if turn.text and not pause.words and pause.resumed is not None:
            continue  # agent/turns.py: without words it was a noise, and no turn
        words = verdict(pause.words, turn.expecting, pause.confidence)
        seconds = rule.seconds(pause.probability, words, turn.expecting)
        decided = max(pause.last + seconds * RATE, pause.told + TRANSCRIPT_DELAY * RATE)
        if pause.resumed is not None and pause.resumed <= decided:
            continue
        sounded = "?" if pause.probability is None else f"{pause.probability:.2f}"
        if any(begin - 0.2 * RATE <= pause.last < end for begin, end in turn.pauses):
            report.cut_in.append(f"{pause.words} ({sounded})")
        elif pause.last < turn.end - 0.25 * RATE:
            report.cut_in.append(f"{pause.words} ({sounded}, no pause)")
        else:
            report.waits.append((decided - turn.end) / RATE)
        return


def turns_of(studio: Studio, chosen: str) -> Iterator[Turn]:
    """All sources."""
    yield from scenario_turns(studio)
    yield from spoken_turns(studio, chosen)
    yield from recorded_turns()


async def measure(chosen: str) -> list[TurnsReport]:
    """All sources by all rules."""
    reports: dict[tuple[str, str], TurnsReport] = {}
    async with TurnModel() as turn_model:
        listener = Listener(turn_model)
        for turn in turns_of(Studio(), chosen):
            pauses = await listener.pauses(turn)
            for rule in RULES:
                report = reports.setdefault((turn.source, rule.name), TurnsReport(turn.source, rule.name))
                judge(turn, pauses, rule, report)
    return list(reports.values())


def table(reports: Sequence[TurnsReport]) -> str:
    """For people: every source by every rule, and then what the choice among the rules' settings costs."""
    head = f"{'source':49}{'rule':24}{'turns':>6}{'cut in':>8}{'95 % interval':>16}"
    lines = [f"{head}{'wait mean':>11}{'p50':>6}{'p95 ms':>8}"]
    lines += [_row(report) for report in reports]
    lines.append("")
    for kind in ("packaged voice", "other voices"):
        for rule in RULES[:3]:
            chosen = [one for one in reports if one.source.startswith(kind) and one.rule == rule.name]
            lines.append(_row(together(chosen, f"{kind}, all", rule.name)))
    return "\n".join(lines)


def _row(report: TurnsReport) -> str:
    p50, p95 = (np.percentile(report.waits, (50, 95)) * 1000) if report.waits else (np.nan, np.nan)
    mean = np.mean(report.waits) * 1000 if report.waits else np.nan
    low, high = wilson(len(report.cut_in), report.turns)
    share = len(report.cut_in) / report.turns if report.turns else np.nan
    interval = f"{low * 100:.1f} to {high * 100:.1f} %"
    cut = f"{report.source:49}{report.rule:24}{report.turns:6}{share:8.1%}{interval:>16}"
    return f"{cut}{mean:11.0f}{p50:6.0f}{p95:8.0f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", default="held_out", choices=("development", "held_out"), help="of sentences")
    parser.add_argument(
        "--verbose", action="store_true", help="also where the agent cut in: for `development`, or a set is spent"
    )
    options = parser.parse_args()
    reports = asyncio.run(measure(options.set))
    sys.stdout.write(table(reports) + "\n")
    if options.verbose:
        for report in reports:
            sys.stdout.write(f"{report.source}, {report.rule}: {report.cut_in}\n")


if __name__ == "__main__":
    main()
