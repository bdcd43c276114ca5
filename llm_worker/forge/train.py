"""`python -m llm_worker.forge train JOB.toml`: a model from scratch on the conversations of a data folder.

Killed at any time, it goes on from its last saved state as if it had not been: what is learnt at a step follows from
the job and the number of the step.
"""

import json
import math
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from llm_worker.forge.corpus import Group, groups
from llm_worker.forge.curve import svg
from llm_worker.forge.jobfile import JobError
from llm_worker.forge.learning import Balance, fresh, loss
from llm_worker.forge.records import Conversation, read
from llm_worker.forge.trainjob import TrainJob, read_train_job
from llm_worker.model.checkpoint import CHECKPOINT, export
from llm_worker.model.config import Config, ConfigError, shipped_config
from llm_worker.model.files import PARAMS
from llm_worker.model.network import Decoder
from llm_worker.setting import setting
from llm_worker.text.bpe import train_bpe
from llm_worker.text.chat import ChatFormat, tools_json
from llm_worker.text.tokenizer import Tekken

VOCABULARY = "tekken.json"
STATE, LOG, CURVE, JOB = "state.pt", "log.jsonl", "loss.svg", "job.json"
_VOCABULARY_CALLS = 4000
"""Conversations that the vocabulary is made from: more change nothing."""


@dataclass
class Trainee:
    """Everything that a step changes."""

    model: Decoder
    optimiser: torch.optim.Optimizer
    step: int = 0

    def save(self, path: Path) -> None:
        """Whole, or not at all."""
        part = path.with_suffix(".part")
        torch.save(
            {"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict(), "step": self.step}, part
        )
        os.replace(part, path)

    def restore(self, path: Path) -> None:
        """Go on from a saved state."""
        saved = torch.load(path, weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.step = saved["step"]


class Training:
    """One job."""

    def __init__(self, job: TrainJob) -> None:
        """Read the data, make or read the vocabulary, begin or go on. Raises JobError."""
        torch.set_num_threads(job.threads)
        job.out.mkdir(parents=True, exist_ok=True)
        asked = {"job": job.model_dump(mode="json"), "machine": machine(job.device)}
        (job.out / JOB).write_text(json.dumps(asked, indent=1) + "\n")
        self._job = job
        self._content = _vocabulary(job)
        tokenizer = Tekken(self._content)
        form = ChatFormat(tokenizer)
        self.config = _config(job, tokenizer.size)
        self._train = list(groups(conversations(job, "train"), form, job.most, job.longest))
        held = islice(conversations(job, "held"), job.held)
        self._held = list(groups(held, form, job.most, job.longest))
        if not self._train:
            raise JobError(f"{job.data}: no conversation of at most {job.longest} tokens to learn from")
        model = fresh(self.config, job.seed).to(job.device)
        # Grouped products know no autocast; the loop over experts does.
        model.expert_form = "loop" if job.dtype == "bfloat16" else "grouped"
        self.trainee = Trainee(model, _optimiser(model, job))
        if (job.out / STATE).exists():
            self.trainee.restore(job.out / STATE)
        self._balance = Balance().watch(model)

    def run(self, progress: bool = True, until: int | None = None) -> None:
        """All steps that are left, or those before `until`; then write the model if it is finished."""
        job, saved = self._job, time.monotonic()
        last = min(job.steps, until if until is not None else job.steps)
        began, done = time.monotonic(), 0
        with tqdm(total=job.steps, initial=self.trainee.step, unit="step", disable=not progress) as bar:
            while self.trainee.step < last:
                told = self._step()
                done += told["computed"]
                bar.update()
                bar.set_postfix(loss=f"{told['loss']:.3f}", tokens_a_second=round(done / (time.monotonic() - began)))
                at_end = self.trainee.step in (last, job.steps)
                if self.trainee.step % job.every == 0 or at_end:
                    told |= {"held": self.held_loss()} if self._held else {}
                self._log(told)
                if at_end or time.monotonic() - saved > job.save_seconds:
                    self.trainee.save(job.out / STATE)
                    saved = time.monotonic()
        (job.out / CURVE).write_text(svg(self.curves(), "loss of a token that the front desk says"))
        if self.trainee.step == job.steps:
            self.release(job.out / "model")

    def _step(self) -> dict[str, Any]:
        job, trainee, began = self._job, self.trainee, time.monotonic()
        for options in trainee.optimiser.param_groups:
            options["lr"] = rate_at(job, trainee.step)
        chosen = [group.to(job.device) for group in self._groups_of(trainee.step)]
        learnt = sum(group.learnt for group in chosen)
        total, balance = 0.0, 0.0
        for group in chosen:
            with torch.autocast(job.device, torch.bfloat16, enabled=job.dtype == "bfloat16"):
                own = loss(trainee.model, group) / learnt
            even = self._balance.taken()
            (own + job.balance * even / len(chosen)).backward()  # type: ignore[no-untyped-call]
            total, balance = total + float(own.detach()), balance + float(even.detach()) / len(chosen)
        norm = torch.nn.utils.clip_grad_norm_(trainee.model.parameters(), job.clip)
        trainee.optimiser.step()
        trainee.optimiser.zero_grad(set_to_none=True)
        trainee.step += 1
        computed = sum(group.computed for group in chosen)
        whole = sum(group.whole for group in chosen)
        counts = {"computed": computed, "whole": whole, "learnt": learnt, "seconds": round(time.monotonic() - began, 3)}
        return {"step": trainee.step, "loss": total, "balance": balance, "norm": float(norm)} | counts

    def _groups_of(self, step: int) -> Iterator[Group]:
        """Every group once in an order of the epoch's own, then again in another."""
        for number in range(step * self._job.groups, (step + 1) * self._job.groups):
            epoch, index = divmod(number, len(self._train))
            order = torch.randperm(len(self._train), generator=torch.Generator().manual_seed(self._job.seed + epoch))
            yield self._train[int(order[index])]

    @torch.no_grad()
    def held_loss(self) -> float:
        """Cross entropy of a token, on conversations that are never learnt from."""
        learnt = sum(group.learnt for group in self._held)
        total = sum(float(loss(self.trainee.model, group.to(self._job.device))) for group in self._held)
        self._balance.taken()
        return total / max(1, learnt)

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
        export(self.trainee.model, folder / CHECKPOINT, self._job.store)
        (folder / PARAMS).write_text(self.config.model_dump_json(indent=1) + "\n")
        (folder / VOCABULARY).write_text(json.dumps(self._content, ensure_ascii=False) + "\n")


_CURVES = (("training", "loss"), ("held out", "held"))


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


def conversations(job: TrainJob, split: str) -> Iterator[Conversation]:
    """Those of a file of the data folder. Raises JobError."""
    path = job.data / f"{split}.jsonl"
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield read(line)
                except ValueError as problem:
                    raise JobError(f"{path}, line {number}: {problem}") from None
    except OSError as problem:
        raise JobError(f"{path}: {problem.strerror}; make it with `data`") from None


def rate_at(job: TrainJob, step: int) -> float:
    """The learning rate of a step."""
    if step < job.warm_up:
        return job.rate * (step + 1) / job.warm_up
    along = (step - job.warm_up) / max(1, job.steps - job.warm_up)
    return job.rate * (0.1 + 0.9 * (1 + math.cos(math.pi * along)) / 2)


def _vocabulary(job: TrainJob) -> dict[str, Any]:
    """That of the job's folder, or a new one of the training data, which is then kept."""
    path = job.out / VOCABULARY
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text())
        return kept
    made = islice(conversations(job, "train"), _VOCABULARY_CALLS)
    content = train_bpe(_texts(made), _shipped(job).vocab_size)
    path.write_text(json.dumps(content, ensure_ascii=False) + "\n")
    return content


def _texts(made: Iterator[Conversation]) -> Iterator[str]:
    for each in made:
        yield tools_json(each.tools)
        yield setting(each.now, each.language)
        for message in each.messages:
            yield message.text
            yield from (call.arguments for call in message.tool_calls)


def _shipped(job: TrainJob) -> Config:
    try:
        return shipped_config(job.config)
    except ConfigError as problem:
        raise JobError(f"config: {problem}") from None


def _config(job: TrainJob, size: int) -> Config:
    return _shipped(job).model_copy(update={"vocab_size": size})


def _optimiser(model: Decoder, job: TrainJob) -> torch.optim.Optimizer:
    """AdamW; only matrices decay."""
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    others = [weight for weight in model.parameters() if weight.ndim < 2]
    kinds = [{"params": matrices, "weight_decay": job.decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(kinds, lr=job.rate, betas=(0.9, 0.95), eps=1e-8)


def train(path: Path) -> None:
    """Body of the command. Exits with 2 if the job or its data are wrong."""
    try:
        Training(read_train_job(path)).run(progress=sys.stderr.isatty())
    except JobError as problem:
        sys.stderr.write(f"{problem}\n")
        sys.exit(2)
