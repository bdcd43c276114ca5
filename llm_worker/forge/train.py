"""`python -m llm_worker.forge train JOB.toml`: a model learns from the conversations of a data folder,
from scratch or from what another has learnt.

Killed at any time, it goes on from its last saved state as if it had not been: what is learnt at a step follows from
the job and the number of the step.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from tqdm import tqdm

from llm_worker.forge.corpus import Group, groups
from llm_worker.forge.curve import svg
from llm_worker.forge.jobfile import JobError
from llm_worker.forge.learning import Balance, fresh, loss, losses
from llm_worker.forge.lora import add_low_rank, merged
from llm_worker.forge.trainee import Trainee, optimisers
from llm_worker.forge.trainjob import TrainJob, read_train_job
from llm_worker.forge.vocabulary import VOCABULARY, configured, conversations, vocabulary
from llm_worker.model.checkpoint import CHECKPOINT, CheckpointError, export, load
from llm_worker.model.files import PARAMS
from llm_worker.model.network import Decoder
from llm_worker.text.chat import ChatFormat
from llm_worker.text.tokenizer import Tekken
from training.team import ALONE, Team, together

STATE, LOG, CURVE, JOB = "state.pt", "log.jsonl", "loss.svg", "job.json"


class Training:
    """One job."""

    def __init__(self, job: TrainJob, team: Team = ALONE) -> None:
        """Read the data, make or read the vocabulary, begin or go on. Raises JobError."""
        torch.set_num_threads(job.threads)
        self._job, self._team = job, team
        self._content = vocabulary(job)
        if team.leads:
            write_asked(job.out, job, job.device)
        tokenizer = Tekken(self._content)
        form = ChatFormat(tokenizer)
        self.config = configured(job).model_copy(update={"vocab_size": tokenizer.size})
        self._train = list(groups(conversations(job, "train"), form, job.most, job.longest))
        held = islice(conversations(job, "held"), job.held)
        self._held = list(groups(held, form, job.most, job.longest))
        if not self._train:
            raise JobError(f"{job.data}: no conversation of at most {job.longest} tokens to learn from")
        model = self._beginning().to(job.device)
        self.trainee = Trainee(model, optimisers(model, job.decay), _TYPES[job.dtype])
        # Of bfloat16 a processor's library makes code for each size of a product.
        self.trainee.computing.expert_form = "rounded" if job.dtype == "bfloat16" else "grouped"
        if (job.out / STATE).exists():
            self.trainee.restore(job.out / STATE)
        self._orders: dict[int, list[int]] = {}
        self._balance = Balance().watch(self.trainee.computing)

    def _beginning(self) -> Decoder:
        """Random weights, or those of another model. Raises JobError."""
        job = self._job
        if job.start is None:
            return fresh(self.config, job.seed)
        try:
            model = load(job.start, self.config, torch.float32, "cpu").train()
            if job.lora:
                add_low_rank(model, job.lora, job.seed)
        except (CheckpointError, ValueError) as problem:
            raise JobError(f"start: {problem}") from None
        return model

    def run(self, progress: bool = True, until: int | None = None) -> None:
        """All steps that are left, or those before `until`; then write the model if it is finished."""
        job, saved, leads = self._job, time.monotonic(), self._team.leads
        last = min(job.steps, until if until is not None else job.steps)
        began, done = time.monotonic(), 0
        with tqdm(total=job.steps, initial=self.trainee.step, unit="step", disable=not (progress and leads)) as bar:
            while self.trainee.step < last:
                told = self._step()
                done += told["computed"]
                bar.update()
                bar.set_postfix(loss=f"{told['loss']:.3f}", tokens_a_second=round(done / (time.monotonic() - began)))
                at_end = self.trainee.step in (last, job.steps)
                if self.trainee.step % job.every == 0 or at_end:
                    told |= {"held": self.held_loss()} if self._held else {}
                if not leads:
                    continue
                self._log(told)
                if at_end or time.monotonic() - saved > job.save_seconds:
                    self.trainee.save(job.out / STATE)
                    saved = time.monotonic()
        if leads:
            (job.out / CURVE).write_text(svg(self.curves(), "loss of a token that the front desk says"))
            if self.trainee.step == job.steps:
                self.release(job.out / "model")

    def _step(self) -> dict[str, Any]:
        job, trainee, began = self._job, self.trainee, time.monotonic()
        chosen = list(self._groups_of(trainee.step))
        counts = {name: sum(getattr(group, name) for group in chosen) for name in ("computed", "whole", "learnt")}
        totals = torch.zeros(2)
        for group in self._team.share(chosen):
            parts = losses(trainee.computing, group.to(job.device))
            own, calls, others = (each / counts["learnt"] for each in parts)
            even = self._balance.taken() / len(chosen)
            (own + (job.calls - 1) * calls + job.others * others + job.balance * even).backward()
            totals += torch.stack((own, even)).detach().cpu()
        self._team.add(totals)
        norm = trainee.learn(rate_at(job, trainee.step), job.clip, self._team)
        trainee.step += 1
        seconds = round(time.monotonic() - began, 3)
        told = {"step": trainee.step, "loss": float(totals[0]), "balance": float(totals[1]), "norm": norm}
        return told | counts | {"seconds": seconds}

    def _groups_of(self, step: int) -> Iterator[Group]:
        """Every group once in an order of the epoch's own, then again in another."""
        for number in range(step * self._job.groups, (step + 1) * self._job.groups):
            epoch, index = divmod(number, len(self._train))
            if epoch not in self._orders:
                self._orders = {epoch: self._order(epoch)}
            yield self._train[self._orders[epoch][index]]

    def _order(self, epoch: int) -> list[int]:
        """By chance, but neighbours, which several processes compute at the same time, are of about one length."""
        random = torch.Generator().manual_seed(self._job.seed + epoch)
        drawn: list[int] = torch.randperm(len(self._train), generator=random).tolist()
        size = _NEIGHBOURS * self._job.groups
        windows = (drawn[first : first + size] for first in range(0, len(drawn), size))
        return [number for each in windows for number in sorted(each, key=lambda n: self._train[n].computed)]

    @torch.no_grad()
    def held_loss(self) -> float:
        """Cross entropy of a token, on conversations that are never learnt from."""
        mine = self._team.share(self._held)
        total = torch.tensor([float(loss(self.trainee.computing, group.to(self._job.device))) for group in mine]).sum()
        self._balance.forget()
        self._team.add(total)
        return float(total) / max(1, sum(group.learnt for group in self._held))

    def _log(self, told: dict[str, Any]) -> None:
        with (self._job.out / LOG).open("a") as file:
            file.write(json.dumps(told) + "\n")

    def curves(self) -> dict[str, list[tuple[float, float]]]:
        """Steps and losses of the log."""
        ordered = logged(self._job.out / LOG)
        return {name: [(e["step"], e[key]) for e in ordered if key in e] for name, key in _CURVES}

    def release(self, folder: Path) -> None:
        """Write the model as a folder that the engine serves."""
        folder.mkdir(parents=True, exist_ok=True)
        export(merged(self.trainee.model), folder / CHECKPOINT, self._job.store)
        (folder / PARAMS).write_text(self.config.model_dump_json(indent=1) + "\n")
        (folder / VOCABULARY).write_text(json.dumps(self._content, ensure_ascii=False) + "\n")


_NEIGHBOURS = 8
"""Steps whose groups are sorted by length."""
_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_CURVES = (("training", "loss"), ("held out", "held"))


def write_asked(out: Path, job: BaseModel, device: str) -> None:
    """Leave beside a model what was asked for and where it was made, for its card."""
    told = {"job": job.model_dump(mode="json"), "machine": machine(device)}
    (out / JOB).write_text(json.dumps(told, indent=1) + "\n")


def machine(device: str) -> str:
    """In words: what computes."""
    if device == "cuda":
        return str(torch.cuda.get_device_name())
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return f"{next(names, platform.processor() or platform.machine())}, {os.cpu_count()} processors"


def logged(path: Path) -> list[dict[str, Any]]:
    """Entries of a log by step; what was computed again after a kill counts once, the last time."""
    entries = {entry["step"]: entry for entry in map(json.loads, path.read_text().splitlines())}
    return [entries[step] for step in sorted(entries)]


def rate_at(job: TrainJob, step: int) -> float:
    """The learning rate of a step: up, level, and down in the end. On the level a training can be made longer."""
    up, down = (step + 1) / max(1, job.warm_up), (job.steps - step) / max(1.0, job.fall * job.steps)
    return job.rate * min(1.0, up, down)


def train(path: Path) -> None:
    """Body of the command. Exits with 2 if the job or its data are wrong."""
    try:
        job = read_train_job(path)
        vocabulary(job)  # made once, before there are several to make it
        together(job.processes, _train, job, sys.stderr.isatty())
    except JobError as problem:
        sys.stderr.write(f"{problem}\n")
        sys.exit(2)


def _train(team: Team, job: TrainJob, progress: bool) -> None:
    # Products of bfloat16 come in some thousands of sizes; code for them is made once, where there is room for it.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16384")
    Training(job, team).run(progress)
