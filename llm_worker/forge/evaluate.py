"""`python -m llm_worker.forge evaluate`: simulated callers, or those written by hand, talk to a backend."""

import asyncio
import hashlib
import json
import platform
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from tqdm import tqdm

from llm_worker.backends import Backend
from llm_worker.forge import score, scripted, talk
from llm_worker.forge.desk import Held, hold
from llm_worker.forge.dialogue import dialogues
from llm_worker.forge.exercise import Exercise, of_plan
from llm_worker.forge.planning import plan as draw_plan
from llm_worker.messages import Message, Sampling


@dataclass(frozen=True, slots=True)
class Run:
    """What is evaluated on what. `noise` multiplies the recogniser's error rates; 0 is none."""

    calls: int = 300
    seed: int = 0
    noise: float = 0.0
    handwritten: bool = False
    at_once: int = 1
    temperature: float = 0.0

    @property
    def target(self) -> float:
        """Share of calls that a model worth shipping brings to a good end."""
        if self.handwritten:
            return 0.85 if self.noise else 0.9
        return 0.95


def exercises(run: Run) -> list[Exercise]:
    """Held-out calls by number, or the sixty by hand; those with noise as they were really recognised on the phone."""
    if run.handwritten:
        hear = heard_by_hand() if run.noise else {}
        return [scripted.exercise(dialogue, hear) for dialogue in dialogues()]
    numbers = range(run.seed, run.seed + run.calls)
    return [of_plan(draw_plan(n, "held"), random.Random(f"call {n}"), run.noise) for n in numbers]


@cache
def heard_by_hand() -> dict[str, str]:
    """What the packaged recogniser made of the lines written by hand, by line (scripts/hear_callers.py)."""
    path = resources.files("llm_worker.forge.lists").joinpath("heard.json")
    heard: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return heard


async def converse(run: Run, backend: Backend) -> list[Held]:
    """All calls, so many at once. The backend is warmed up and closed."""
    gate = asyncio.Semaphore(run.at_once)
    progress = tqdm(total=0, unit="call", file=sys.stderr, disable=not sys.stderr.isatty())

    async def one(exercise: Exercise) -> Held:
        async with gate:
            held = await hold(exercise, backend, Sampling(temperature=run.temperature))
            progress.update()
            return held

    await backend.warm_up()
    try:
        everything = exercises(run)
        progress.reset(len(everything))
        return list(await asyncio.gather(*(one(exercise) for exercise in everything)))
    finally:
        progress.close()
        await backend.close()


def by_the_rules(run: Run) -> list[Held]:
    """The same calls with the front desk that training shows, which is told what callers mean: the most that these
    exercises allow, and a check of the callers themselves."""
    held = []
    for number in range(run.seed, run.seed + run.calls):
        plan = draw_plan(number, "held")
        exercise = of_plan(plan, random.Random(f"call {number}"), run.noise)
        ended = talk.hold(plan, random.Random(f"call {number}"), run.noise)
        messages = ended.conversation.messages
        turns = sum(message.role == "user" for message in messages)
        held.append(Held(exercise, messages, ended.state, turns, ended.gave_up))
    return held


def report(run: Run, backend: str, calls: Sequence[Held]) -> tuple[list[str], dict[str, Any]]:
    """Table and JSON."""
    scored = [score.score(held, similar=run.noise > 0) for held in calls]
    what = "written by hand" if run.handwritten else f"held out, from number {run.seed}"
    heard = f"recogniser's errors × {run.noise:g}" if run.noise else "words as they were said"
    heard = "as they were recognised over the telephone" if run.noise and run.handwritten else heard
    head = [f"{len(calls)} calls, {what}; {heard}; backend {backend}", ""]
    details = {"backend": backend, "noise": run.noise, "handwritten": run.handwritten, "seed": run.seed}
    details["temperature"] = run.temperature
    return [*head, *score.table(scored, run.target)], details | {"machine": platform.machine()} | score.as_json(scored)


def digest(folder: Path) -> str:
    """SHA-256 of a model's weights: what was evaluated."""
    whole = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def write_transcripts(path: Path, calls: Sequence[Held], run: Run) -> None:
    """Calls that failed or had something made up, to read."""
    with path.open("w", encoding="utf-8") as file:
        for held in calls:
            scored = score.score(held, similar=run.noise > 0)
            if scored.success and not scored.inventions:
                continue
            file.write(f"== {held.exercise.id} {held.exercise.flow}\n")
            file.writelines(f"!! {reason}\n" for reason in (*scored.reasons, *scored.inventions))
            file.writelines(f"{line}\n" for message in held.messages[1:] for line in _lines(message))
            file.write("\n")


def _lines(message: Message) -> list[str]:
    lines = [f"{message.role.value:>9}: {message.text}"] if message.text else []
    return lines + [f"     call: {call.name} {call.arguments}" for call in message.tool_calls]
