"""Many simple callers in one process: load, not judgement. One scenario, played again and again.

    python -m loadtest.crowd talk --to sip:agent@127.0.0.1:5060 --calls 40 --at-once 40 --seconds 60

Prints a line of JSON when everybody who shall be on the line at once is, and one at the end.
"""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict, dataclass

from agent.audio import Samples
from loadtest.caller import rehearse, today
from loadtest.performance import Output, Performance
from loadtest.phone import NotAnswered, Phone, phone
from loadtest.scenario import ScenarioError
from loadtest.scenarios import load
from loadtest.voice import Studio

_BETWEEN_CALLS = 0.05
"""Seconds from one INVITE to the next: a crowd, not a flood."""


@dataclass
class Tally:
    """What became of the calls."""

    answered: int = 0
    refused: int = 0
    ended_early: int = 0
    """By the agent, before the caller wanted to."""
    heard_nothing: int = 0


@dataclass(frozen=True)
class Crowd:
    """How many, how many at once, for how long each."""

    calls: int
    at_once: int
    seconds: float


async def run(line: Phone, target: str, template: Performance, crowd: Crowd) -> Tally:
    """Make all the calls; `template` is what each caller says, over and over."""
    tally = Tally()
    places = asyncio.Semaphore(crowd.at_once)

    async def one(number: int) -> None:
        try:
            recording = await line.call(target, _Player(template, crowd.seconds, _patience(number)).tick)
        except NotAnswered:
            tally.refused += 1
            return
        finally:
            places.release()
        tally.answered += 1
        tally.ended_early += not recording.ended_by_us
        tally.heard_nothing += not recording.heard.any()

    async with asyncio.TaskGroup() as group:
        for number in range(1, crowd.calls + 1):
            await places.acquire()
            group.create_task(one(number))
            if number == crowd.at_once:
                _tell({"up": number})
            await asyncio.sleep(_BETWEEN_CALLS)
    return tally


def _patience(number: int) -> float:
    """Seconds that a caller thinks before answering: 0.6 to 3, spread evenly. A crowd does not speak in chorus."""
    return 0.6 + 2.4 * (number * 0.618034 % 1)


class _Player:
    """Plays copies of a performance one after the other, for a fixed time."""

    def __init__(self, template: Performance, seconds: float, patience: float) -> None:
        self._template = template
        self._scenario = template.scenario.model_copy(update={"patience": patience})
        self._ticks_left = int(seconds * 50)
        self._performance = self._copy()

    def tick(self, heard: Samples) -> Output:
        """20 ms."""
        self._ticks_left -= 1
        if self._performance.done:
            self._performance = self._copy()
        out = self._performance.tick(heard)
        return Output(out.frame, "", self._ticks_left <= 0)

    def _copy(self) -> Performance:
        return Performance(self._scenario, self._template.clips, self._template.background)


def _tell(line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def _main(name: str, target: str, crowd: Crowd) -> Tally:
    template = rehearse(Studio(), load(name), today())
    async with phone(max_calls=crowd.at_once + 1) as line:
        return await run(line, target, template, crowd)


def main() -> int:
    """0: every call was answered; 1: not; 2: the scenario has a mistake."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.crowd", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("scenario")
    parser.add_argument("--to", required=True)
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument("--at-once", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each caller stays")
    given = parser.parse_args()
    try:
        tally = asyncio.run(_main(given.scenario, given.to, Crowd(given.calls, given.at_once, given.seconds)))
    except ScenarioError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    _tell(asdict(tally))
    return int(tally.refused > 0)


if __name__ == "__main__":
    sys.exit(main())
