"""`python -m llm_worker.forge data JOB.toml`: conversations, generated or your own, as JSON lines for training.

Writes train.jsonl, held.jsonl and manifest.json into the job's folder. The same job gives the same files.
"""

import json
import multiprocessing
import os
import random
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field
from tqdm import tqdm

from llm_worker.forge.importing import Agent, BadRecord, agent, conversation, records
from llm_worker.forge.jobfile import JobError, JobPart, read_file
from llm_worker.forge.practice import Split
from llm_worker.forge.records import Conversation, read
from llm_worker.forge.scrub import scrub
from llm_worker.forge.talk import taught
from llm_worker.forge.verifier import CalendarVerifier

FILES: tuple[Split, Split] = ("train", "held")
_CHUNK = 64
"""Conversations that a process makes at a time."""


class Generated(JobPart):
    """Conversations of simulated callers with the front desk that is to be learnt."""

    train: int = Field(default=0, ge=0)
    """Conversations for training."""
    held: int = Field(default=0, ge=0)
    """Conversations with held-out phrasings, names and flows."""
    noise: tuple[float, ...] = (0.0, 1.0, 1.5)
    """How many times as often as counted the recogniser errs; each call takes one of them."""
    processes: int = Field(default=1, ge=1, le=256)


class Imported(JobPart):
    """Records of your calls."""

    source: str = Field(min_length=1)
    """A name for where they come from; what is deleted, is deleted by it."""
    records: str
    """Files, as a pattern relative to the job's file: calls/*.json."""
    agent: Path
    """The file of the agent that answered them, relative to the job's file."""
    scrub: bool = True
    """Exchange names, numbers and addresses of e-mail. A help, not a guarantee."""
    names: tuple[str, ...] = ()
    """Further words that are names."""


class Job(JobPart):
    """The file's keys are these fields."""

    out: Path
    """Folder for what is made, relative to the job's file."""
    seed: int = 0
    held_share: float = Field(default=0.1, ge=0, lt=1)
    """Of imported calls, those that are held out; by call, so a call is in one of the two only."""
    forget: tuple[str, ...] = ()
    """Sources that must not be in the data any more."""
    generated: Generated = Generated()
    imported: tuple[Imported, ...] = ()


def read_job(path: Path) -> Job:
    """The job of a file, its paths resolved. Raises JobError."""
    job = read_file(path, Job)
    base = path.parent
    imported = tuple(_resolved(each, base) for each in job.imported)
    return job.model_copy(update={"out": base / job.out, "imported": imported})


def _resolved(each: Imported, base: Path) -> Imported:
    return each.model_copy(update={"agent": base / each.agent, "records": str(base / each.records)})


def build(job: Job, progress: bool = True) -> dict[str, Any]:
    """Make the files; returns the manifest. Raises JobError, BadRecord; nothing is left half written."""
    job.out.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    texts: Counter[str] = Counter()
    parts = {split: job.out / f"{split}.jsonl.part" for split in FILES}
    files = {split: path.open("w", encoding="utf-8") for split, path in parts.items()}
    total = job.generated.train + job.generated.held
    try:
        with tqdm(total=total, unit="call", disable=not progress) as bar:
            for split, made in _everything(job):
                bar.update(made.source == "generated")
                counts[f"{split} {made.source}"] += 1
                texts[split] += sum(len(message.text) for message in made.messages)
                files[split].write(made.to_json() + "\n")
    finally:
        for file in files.values():
            file.close()
    for split, path in parts.items():
        os.replace(path, job.out / f"{split}.jsonl")
    manifest = {"job": json.loads(job.model_dump_json(exclude={"out"})), "conversations": counts, "characters": texts}
    (job.out / "manifest.json").write_text(json.dumps(manifest, indent=1, default=str) + "\n")
    return manifest


def _everything(job: Job) -> Iterator[tuple[Split, Conversation]]:
    for each in job.imported:
        if each.source not in job.forget:
            yield from _imported(each, job)
    if "generated" not in job.forget:
        counts = {"train": job.generated.train, "held": job.generated.held}
        for split in FILES:
            yield from ((split, made) for made in generate(job.generated, job.seed, split, counts[split]))


def generate(settings: Generated, seed: int, split: Split, count: int) -> Iterator[Conversation]:
    """So many conversations, in order of their numbers, made by several processes. Those in which the front desk to be
    learnt failed its caller are left out, so a few numbers more than `count` are used."""
    make = partial(_chunk, seed=seed, split=split, noise=settings.noise)
    starts = iter(range(0, 2 * count + _CHUNK, _CHUNK))
    left = count
    if settings.processes == 1:
        yield from _first(count, (made for start in starts for made in make(start)))
        return
    with multiprocessing.get_context("spawn").Pool(settings.processes) as pool:
        for chunk in pool.imap(make, starts):
            yield from chunk[:left]
            left -= len(chunk[:left])
            if not left:
                return


def _first(count: int, conversations: Iterable[Conversation]) -> Iterator[Conversation]:
    if count:
        for number, made in enumerate(conversations, 1):
            yield made
            if number == count:
                return


def _chunk(start: int, seed: int, split: Split, noise: tuple[float, ...]) -> list[Conversation]:
    made = []
    for number in range(start, start + _CHUNK):
        # Seeds share no numbers, nor do they with those of the evaluation, which are small.
        key = (seed + 1) * 1_000_000_000 + number
        strength = random.Random(key).choice(noise)
        plan, talk = taught(key, split, strength)
        verdict = CalendarVerifier(plan.setup, plan.expect, similar=strength > 0)
        if not talk.gave_up and verdict.verify(talk.conversation.messages, talk.state).reward == 1:
            made.append(talk.conversation)
    return made


def _imported(each: Imported, job: Job) -> Iterator[tuple[Split, Conversation]]:
    desk: Agent = agent(each.agent)
    pattern = Path(each.records)
    paths = sorted(pattern.parent.glob(pattern.name))
    if not paths:
        raise JobError(f"imported.records: no file fits {each.records}")
    names = {name.lower(): f"Person{number}" for number, name in enumerate(each.names)}
    for path in paths:
        for record in records(path):
            made = conversation(record, each.source, desk)
            if made is not None:
                made = scrub(made, names) if each.scrub else made
                yield split_of(made, job), made


def split_of(made: Conversation, job: Job) -> Split:
    """Where an imported call belongs, by its id: adding other calls moves none."""
    share = zlib.crc32(f"{job.seed} {made.source} {made.id}".encode()) / 2**32
    return "held" if share < job.held_share else "train"


def forget(folder: Path, source: str) -> int:
    """Take every conversation of a source out of data that was made; returns how many. Raises JobError."""
    gone = 0
    for split in FILES:
        path = folder / f"{split}.jsonl"
        if not path.exists():
            raise JobError(f"{folder}: no {path.name} there; give the folder that `data` wrote")
        part = path.with_suffix(".jsonl.part")
        with path.open(encoding="utf-8") as lines, part.open("w", encoding="utf-8") as kept:
            for line in lines:
                if read(line).source == source:
                    gone += 1
                else:
                    kept.write(line)
        os.replace(part, path)
    return gone


def described(part: type[BaseModel], before: str = "") -> Iterator[tuple[str, str]]:
    """Every key of a job with its meaning and default, for `--help`."""
    for name, field in part.model_fields.items():
        inner = next((each for each in _PARTS if each.__name__ in str(field.annotation)), None)
        key = f"{before}{name}"
        if inner is not None:
            yield f"[{key}]" if inner is Generated else f"[[{key}]]", str(inner.__doc__)
            yield from described(inner, f"{key}.")
            continue
        default = "required" if field.is_required() else f"default {field.default!r}"
        yield key, f"{field.description or ''} ({default})".strip()


_PARTS = (Generated, Imported)

__all__ = ["BadRecord", "Job", "build", "described", "forget", "generate", "read_job", "split_of"]
