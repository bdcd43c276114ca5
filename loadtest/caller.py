"""A simulated caller: speaks the lines of a scenario over a real SIP call and writes down what it said and heard.

    python -m loadtest.caller booking --to sip:agent@127.0.0.1:5060 --out var/calls/one

With `--answer PORT` it is called: it says `ready`, takes the first call that comes, and plays its scenario there.
Exit code 0: the call went as the scenario expects; 1: it did not; 2: the scenario has a mistake; 3: not answered.
"""

import argparse
import asyncio
import json
import sys
import wave
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np

from agent.audio import Samples
from loadtest.performance import RATE, Clip, Event, Output, Performance
from loadtest.phone import NotAnswered, Recording, phone
from loadtest.scenario import Scenario, ScenarioError, filled, spoken
from loadtest.scenarios import load, names
from loadtest.voice import Studio

AUDIO_FILE = "caller.wav"
EVENTS_FILE = "caller.json"


@dataclass(frozen=True, slots=True)
class Report:
    """What the caller writes beside its recording. Positions are samples of the recording, at 8000 a second."""

    scenario: str
    began: float
    """time.monotonic() of sample 0."""
    ended_by: str
    """`caller` or `agent`."""
    gave_up: bool
    """The agent had not said a word for too long."""
    events: tuple[Event, ...]


def today() -> date:
    """On this machine."""
    return datetime.now().astimezone().date()


def rehearse(studio: Studio, scenario: Scenario, day: date) -> Performance:
    """Everything a scenario says, rendered, ready to be played once."""
    clips: dict[int, Clip] = {}
    for number, step in enumerate(scenario.steps):
        if (words := spoken(step)) is not None:
            clips[number] = studio.clip(filled(words, scenario, day), scenario.voice)
    return Performance(scenario, clips, studio.background(scenario.noise, scenario.voice.seed))


def report(name: str, performance: Performance, recording: Recording) -> Report:
    """The caller's account of a call that is over."""
    return Report(
        scenario=name,
        began=recording.began,
        ended_by="caller" if recording.ended_by_us else "agent",
        gave_up=any(event.kind == "gave_up" for event in performance.events),
        events=tuple(performance.events),
    )


def complaints(expected: Scenario, told: Report) -> list[str]:
    """What went otherwise than the scenario expects, as far as a phone can tell; empty when all is well."""
    wrong = []
    if told.gave_up:
        wrong.append(f"the agent said nothing for {expected.give_up:g} s and the caller gave up")
    elif not any(event.kind in ("done", "hung_up") for event in told.events):
        wrong.append("the call ended before the caller had said everything")
    if expected.expect.ended_by and expected.expect.ended_by != told.ended_by and not told.gave_up:
        wrong.append(f"the call was ended by the {told.ended_by}, not by the {expected.expect.ended_by}")
    return wrong


def write(folder: Path, told: Report, recording: Recording) -> None:
    """`caller.wav` (left: said, right: heard) and `caller.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    with wave.open(str(folder / AUDIO_FILE), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.stack([recording.said, recording.heard], axis=1).tobytes())
    (folder / EVENTS_FILE).write_text(json.dumps(asdict(told), indent=1), encoding="utf-8")


def read(folder: Path) -> tuple[Report, Samples, Samples]:
    """What `write` wrote: the report, what was said, what was heard."""
    table = json.loads((folder / EVENTS_FILE).read_text(encoding="utf-8"))
    events = tuple(Event(**event) for event in table.pop("events"))
    with wave.open(str(folder / AUDIO_FILE), "rb") as file:
        both = np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16).reshape(-1, 2)
    return Report(**table, events=events), both[:, 0].copy(), both[:, 1].copy()


def announced(performance: Performance, tell: Callable[[Event], None]) -> Callable[[Samples], Output]:
    """`performance.tick` that tells each event as it happens."""

    def tick(heard: Samples) -> Output:
        before = len(performance.events)
        out = performance.tick(heard)
        for event in performance.events[before:]:
            tell(event)
        return out

    return tick


def _tell(event: Event) -> None:
    sys.stdout.write(json.dumps(asdict(event)) + "\n")
    sys.stdout.flush()


async def _call(name: str, scenario: Scenario, target: str | int, folder: Path, ring: float) -> Report:
    """Call an address, or take a call on a port."""
    performance = rehearse(Studio(), scenario, today())
    async with phone(port=target if isinstance(target, int) else 0) as line:
        if isinstance(target, int):
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            recording = await line.take(announced(performance, _tell), ring)
        else:
            recording = await line.call(target, announced(performance, _tell), ring)
    told = report(name, performance, recording)
    write(folder, told, recording)
    return told


def main() -> int:
    """Make one call; the exit code says how it went."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.caller", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("scenario", help=f"{', '.join(names())}, or a .toml file")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--to", help="SIP address to call, such as sip:agent@127.0.0.1:5060")
    where.add_argument("--answer", type=int, metavar="PORT", help="take a call on this port instead")
    parser.add_argument("--out", type=Path, default=Path("var/caller"), help="folder for recording and events")
    parser.add_argument("--ring", type=float, default=15.0, help="seconds to wait for answer or call (default 15)")
    given = parser.parse_args()
    try:
        scenario = load(given.scenario)
        target = given.to or given.answer
        told = asyncio.run(_call(given.scenario, scenario, target, given.out, given.ring))
    except ScenarioError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except NotAnswered as error:
        sys.stderr.write(f"no call: {error}\n")
        return 3
    wrong = complaints(scenario, told)
    for line in wrong:
        sys.stderr.write(f"{line}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
