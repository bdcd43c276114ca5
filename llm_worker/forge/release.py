"""`python -m llm_worker.forge release RUN OUT`: a trained model as a folder to hand on, with a card.

Nothing is released that has not been evaluated, that is too large, that 8 bits change too much, or that the engine does
not serve.
"""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from llm_worker.__main__ import build  # the worker's own choice of backends
from llm_worker.config import LlmSettings
from llm_worker.forge.card import Facts, Tried, card
from llm_worker.forge.corpus import Group, groups
from llm_worker.forge.evaluate import digest
from llm_worker.forge.jobfile import JobError
from llm_worker.forge.learning import loss
from llm_worker.forge.reinforce import RESULT
from llm_worker.forge.reinforcejob import ReinforceJob
from llm_worker.forge.train import JOB, LOG, logged
from llm_worker.forge.trainjob import TrainJob
from llm_worker.forge.vocabulary import VOCABULARY, conversations
from llm_worker.model.checkpoint import CHECKPOINT, CheckpointError, export, load
from llm_worker.model.config import ConfigError
from llm_worker.model.files import PARAMS, read_config
from llm_worker.model.network import Decoder
from llm_worker.text.chat import ChatFormat
from llm_worker.text.tokenizer import Tekken, TokenizerError
from services.errors import ServiceError

CARD, EVALUATION = "card.md", "evaluation"


class NotReleased(Exception):
    """Why the model is not to be handed on."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a release may be."""

    megabytes: float = 16.0
    """Most, of 1,000,000 bytes, all files together."""
    loss: float = 0.01
    """Most that 8 bits may add to the loss of a held-out token, natural logarithm."""


def release(run: Path, out: Path, bounds: Bounds, licence: str = "Apache-2.0") -> Facts:
    """Write the folder; it is there whole or not at all. Raises NotReleased."""
    if out.exists():
        raise NotReleased(f"{out}: is there already")
    evaluations = evaluated(run)
    tried = _tried(run)
    trained = tried.trained if tried else run
    told = _asked(trained)
    job = TrainJob.model_validate(told["job"])
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    torch.set_num_threads(job.threads)
    try:
        store = tried.job["store"] if tried else job.store
        before, after, parameters = _rounded(run / "model", part, job, store)
    except (ConfigError, CheckpointError, TokenizerError, JobError) as problem:
        raise NotReleased(str(problem)) from None
    facts = Facts(
        name=out.name,
        licence=licence,
        parameters=parameters,
        size=_size(part),
        job=job.model_dump(mode="json", exclude={"data", "out", "start"}),
        start=digest(job.start) if job.start else "",
        machine=told["machine"],
        log=logged(trained / LOG),
        tried=tried,
        manifest=json.loads((job.data / "manifest.json").read_text()),
        evaluations=evaluations,
        exactly=digest(part) == digest(run / "model"),
        loss=before,
        loss_rounded=after,
    )
    (part / CARD).write_text(card(facts), encoding="utf-8")
    if after - before > bounds.loss:
        raise NotReleased(f"8 bits add {after - before:.4f} to the loss of a held-out token, more than {bounds.loss:g}")
    if _size(part) > bounds.megabytes * 1e6:
        raise NotReleased(f"{_size(part):,} bytes are more than {bounds.megabytes:g} MB")
    try:
        asyncio.run(_served(part))
    except ServiceError as problem:
        raise NotReleased(f"the engine does not serve it: {problem}") from None
    os.replace(part, out)
    return facts


def evaluated(run: Path) -> dict[str, dict[str, Any]]:
    """What `evaluate --json` wrote for this model, by name. Raises NotReleased without any, or for one of others."""
    paths = sorted((run / EVALUATION).glob("*.json"))
    if not paths:
        raise NotReleased(f"{run / EVALUATION}: no evaluation; make one with `evaluate --backend engine --json`")
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}
    weights = digest(run / "model")
    for name, told in found.items():
        if told.get("weights") != weights:
            raise NotReleased(f"{run / EVALUATION / name}.json: an evaluation of other weights than {run}/model")
    return found


def _asked(run: Path) -> Mapping[str, Any]:
    try:
        told: Mapping[str, Any] = json.loads((run / JOB).read_text(encoding="utf-8"))
    except OSError as problem:
        raise NotReleased(f"{run / JOB}: {problem.strerror}; a training writes it when it begins or goes on") from None
    return told


def _tried(run: Path) -> Tried | None:
    """What reinforcement did, if it was that which wrote the folder."""
    told = _asked(run)
    if "samples" not in told["job"]:
        return None
    job = ReinforceJob.model_validate(told["job"])
    asked = job.model_dump(mode="json", exclude={"start", "out"})
    result = json.loads((run / RESULT).read_text(encoding="utf-8"))
    return Tried(job.start.parent, asked, result, str(told["machine"]))


def _rounded(model: Path, part: Path, job: TrainJob, store: str) -> tuple[float, float, int]:
    """Write the files in 8 bits. Returns the held-out loss before and after, and how many numbers there are."""
    config, tokenizer = read_config(model), Tekken.read(model / VOCABULARY)
    whole = load(model, config, torch.float32, "cpu")
    if store != "int8":
        export(whole, part / CHECKPOINT, "int8")
    for name in (PARAMS, VOCABULARY, *([CHECKPOINT] if store == "int8" else [])):
        shutil.copyfile(model / name, part / name)
    held = list(groups(islice(conversations(job, "held"), job.held), ChatFormat(tokenizer), job.most, job.longest))
    if not held:
        raise NotReleased(f"{job.data}: no held-out conversation to compare 8 bits on")
    parameters = sum(weight.numel() for weight in whole.parameters())
    return _loss(whole, held), _loss(load(part, config, torch.float32, "cpu"), held), parameters


@torch.no_grad()
def _loss(model: Decoder, held: list[Group]) -> float:
    return sum(float(loss(model, group)) for group in held) / sum(group.learnt for group in held)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


async def _served(folder: Path) -> None:
    """Have it say something, as TRUNKLINE_LLM_BACKEND=engine does before it serves. Raises ServiceError."""
    prefix = LlmSettings.prefix
    settings = {f"{prefix}BACKEND": "engine", f"{prefix}FOLDER": str(folder), f"{prefix}DEVICE": "cpu"}
    backend = build(LlmSettings.read(settings))
    try:
        await backend.warm_up()
    finally:
        await backend.close()


def release_to(run: Path, out: Path, bounds: Bounds, licence: str) -> None:
    """Body of the command. Exits with 1 and a line if the model is not released."""
    try:
        facts = release(run, out, bounds, licence)
    except NotReleased as reason:
        sys.exit(f"not released: {reason}")
    sys.stdout.write(
        f"{out}: {facts.size:,} bytes, loss {facts.loss:.4f} before and {facts.loss_rounded:.4f} after rounding\n"
    )
