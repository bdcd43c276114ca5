"""`python -m llm_worker.forge reinforce JOB.toml`: a trained model goes on by trying, with rewards that can be checked.

Each step lets the model talk several times to each of a few simulated callers, through the engine, and makes likelier
what went better than the other attempts with the same caller (`cispo`). Before the first step and after the last it is
tried on the same held-out callers; the new weights are kept only if they do better beyond noise. Killed at any time, it
goes on from its last saved state.
"""

import asyncio
import copy
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from llm_worker.forge.cispo import advantages, divergence, objective
from llm_worker.forge.comparison import Comparison, compare
from llm_worker.forge.corpus import IGNORED, Group, together
from llm_worker.forge.curve import svg
from llm_worker.forge.jobfile import JobError
from llm_worker.forge.learning import Balance, states
from llm_worker.forge.reinforcejob import ReinforceJob, read_reinforce_job
from llm_worker.forge.reward import Calls, Environment
from llm_worker.forge.rollouts import Conditions, Rollout, Row, Wanted, attempts, log_probabilities, sequences
from llm_worker.forge.train import LOG, STATE, logged, write_asked
from llm_worker.forge.trainee import Trainee
from llm_worker.forge.vocabulary import VOCABULARY
from llm_worker.model.checkpoint import CHECKPOINT, CheckpointError, export, load
from llm_worker.model.config import ConfigError
from llm_worker.model.files import PARAMS, read_config
from llm_worker.model.network import Decoder
from llm_worker.text.grammar import Words
from llm_worker.text.tokenizer import Tekken, TokenizerError
from training.optimisers import Optimisers

BEFORE, RESULT, CURVE = "before.json", "result.json", "reward.svg"


@dataclass(frozen=True)
class Batch:
    """Attempts at an exercise that are computed together."""

    number: int
    """Of the exercise."""
    group: Group
    words: Words
    """[N, ⌈V/32⌉]: what could have come in place of each of the N tokens that were drawn."""
    old: Tensor
    """[N] log-probabilities when they were drawn."""
    advantage: Tensor
    """[N]."""


@dataclass
class _Told:
    """What an update has to say for itself."""

    drift: float = 0.0
    ratio: float = 1.0
    kl: float = 0.0
    balance: list[float] = field(default_factory=list)


class Reinforcement:
    """One job."""

    def __init__(self, job: ReinforceJob, environment: Environment) -> None:
        """Begin or go on. Raises JobError."""
        torch.set_num_threads(job.threads)
        job.out.mkdir(parents=True, exist_ok=True)
        self._job, self._environment = job, environment
        model, self._tokenizer = started(job.start)
        self._start = copy.deepcopy(model) if job.kl else None
        optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.0)
        self.trainee = Trainee(model, Optimisers(optimiser))
        self._before = self._tried_before()
        write_asked(job.out, job, "cpu")
        if (job.out / STATE).exists():
            self.trainee.restore(job.out / STATE)

    def run(self, progress: bool = True, until: int | None = None) -> Comparison | None:
        """All steps that are left, or those before `until`. When none is left, the comparison with the start."""
        job, saved = self._job, time.monotonic()
        last = min(job.steps, until if until is not None else job.steps)
        with tqdm(total=job.steps, initial=self.trainee.step, unit="step", disable=not progress) as bar:
            while self.trainee.step < last:
                told = self._step()
                bar.update()
                bar.set_postfix(reward=f"{told['reward']:.3f}", told=f"{told['telling']}/{job.callers}")
                with (job.out / LOG).open("a") as file:
                    file.write(json.dumps(told) + "\n")
                if self.trainee.step == last or time.monotonic() - saved > job.save_seconds:
                    self.trainee.save(job.out / STATE)
                    saved = time.monotonic()
        curve = [(entry["step"], entry["reward"]) for entry in logged(job.out / LOG)]
        (job.out / CURVE).write_text(svg({"attempts": curve}, "mean reward of an attempt"))
        return self._finish() if self.trainee.step == job.steps else None

    def rollouts(self, step: int) -> list[Rollout]:
        """The attempts of a step, those of a caller next to each other."""
        job = self._job
        numbers = [job.first + step * job.callers + each for each in range(job.callers)]
        wanted = [Wanted(n, f"{job.seed} {sample}") for n in numbers for sample in range(job.samples)]
        return self._tried(wanted, job.temperature)

    def batches(self, rollouts: list[Rollout]) -> Iterator[Batch]:
        """What can be learnt from: groups of attempts that were not all worth the same."""
        for number, attempted in groupby(rollouts, lambda each: each.number):
            same = list(attempted)
            relative = advantages([each.reward for each in same])
            if relative is None:
                continue
            rows = [(row, own) for each, own in zip(same, relative, strict=True) for row in sequences(each.said)]
            for first in range(0, len(rows), self._job.most):
                yield _batch(number, rows[first : first + self._job.most])

    def logs(self, batch: Batch, model: Decoder) -> Tensor:
        """Log-probabilities [N] of what was drawn, computed as training computes."""
        wanted = batch.group.targets != IGNORED
        scaled = model.logits(states(model, batch.group)[wanted]) / self._job.temperature
        return log_probabilities(scaled, batch.words).gather(1, batch.group.targets[wanted][:, None])[:, 0]

    def _step(self) -> dict[str, Any]:
        job, trainee = self._job, self.trainee
        rollouts = self.rollouts(trainee.step)
        batches = list(self.batches(rollouts))
        told: dict[str, Any] = {}
        for number in range(job.passes if batches else 0):
            update = self._update(batches)
            # How far training and sampling are apart is seen before the first change.
            told |= {key: value for key, value in update.items() if key != "drift" or not number}
        trainee.step += 1
        reward = sum(each.reward for each in rollouts) / len(rollouts)
        telling = len({batch.number for batch in batches})
        tokens = sum(len(said.ids) for each in rollouts for said in each.said)
        return {"step": trainee.step, "reward": reward, "telling": telling, "tokens": tokens} | told

    def _update(self, batches: list[Batch]) -> dict[str, float]:
        """One step of the optimiser."""
        job, trainee, told = self._job, self.trainee, _Told()
        balance = Balance().watch(trainee.model)
        tokens = sum(len(batch.old) for batch in batches)
        try:
            for batch in batches:
                loss = self._loss(batch, told) / tokens
                even = balance.taken()
                told.balance.append(float(even.detach()))
                (loss + job.balance * even / len(batches)).backward()  # type: ignore[no-untyped-call]
        finally:
            balance.close()
        norm = trainee.learn(job.rate, job.clip)
        means = {"kl": told.kl / tokens, "balance": sum(told.balance) / len(batches)}
        return {"drift": told.drift, "ratio": told.ratio, "norm": norm} | means

    def _loss(self, batch: Batch, told: _Told) -> Tensor:
        """Summed over tokens."""
        job = self._job
        new = self.logs(batch, self.trainee.model)
        apart = (new.detach() - batch.old).abs()
        told.drift, told.ratio = max(told.drift, float(apart.max())), max(told.ratio, float(apart.max().exp()))
        loss = -objective(new, batch.old, batch.advantage, job.low, job.high)
        if self._start is not None:
            with torch.no_grad():
                start = self.logs(batch, self._start)
            away = divergence(new, start)
            told.kl += float(away.detach())
            loss = loss + job.kl * away
        return loss

    def _tried(self, wanted: list[Wanted], temperature: float) -> list[Rollout]:
        job = self._job
        conditions = Conditions(temperature, job.at_once, job.longest, job.answer, job.threads)
        going = attempts(
            self.trainee.model, self._tokenizer, self._environment, wanted, conditions, sys.stderr.isatty()
        )
        return asyncio.run(going)

    def _held_out(self) -> list[float]:
        """Rewards of the held-out exercises with the weights as they are."""
        job = self._job
        numbers = range(job.first_held, job.first_held + job.held)
        return [each.reward for each in self._tried([Wanted(n, held=True) for n in numbers], 0.0)]

    def _tried_before(self) -> list[float]:
        """The same with the weights at the start, which is done once for the same exercises."""
        path, which = self._job.out / BEFORE, [self._job.first_held, self._job.held]
        if not path.exists() or json.loads(path.read_text())["held"] != which:
            _write(path, {"held": which, "rewards": self._held_out()})
        rewards: list[float] = json.loads(path.read_text())["rewards"]
        return rewards

    def _finish(self) -> Comparison:
        """Keep the weights or not."""
        job = self._job
        compared = compare(self._before, self._held_out())
        folder = job.out / "model"
        if compared.better:
            folder.mkdir(exist_ok=True)
            export(self.trainee.model, folder / CHECKPOINT, job.store)
            for name in (PARAMS, VOCABULARY):
                (folder / name).write_bytes((job.start / name).read_bytes())
        told = {"kept": compared.better, "before": compared.before, "after": compared.after}
        told |= {"wins": compared.wins, "losses": compared.losses, "of": compared.of, "chance": compared.chance}
        _write(job.out / RESULT, told)
        return compared


def started(folder: Path) -> tuple[Decoder, Tekken]:
    """The model of a folder, in float32, and its vocabulary. Raises JobError."""
    try:
        config, tokenizer = read_config(folder), Tekken.read(folder / VOCABULARY)
        return load(folder, config, torch.float32, "cpu"), tokenizer
    except (ConfigError, TokenizerError, CheckpointError) as problem:
        raise JobError(f"start: {problem}") from None


def _batch(number: int, rows: list[tuple[Row, float]]) -> Batch:
    return Batch(
        number,
        together([(row.ids, row.drawn) for row, _ in rows]),
        np.stack([words for row, _ in rows for words in row.allowed]),
        torch.tensor([log for row, _ in rows for log in row.logs]),
        torch.tensor([own for row, own in rows for _ in row.logs]),
    )


def _write(path: Path, content: Any) -> None:
    """Whole, or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content) + "\n")
    os.replace(part, path)


def reinforce(path: Path) -> None:
    """Body of the command. Exits with 2 if the job is wrong."""
    try:
        job = read_reinforce_job(path)
        compared = Reinforcement(job, Calls(job.noise)).run(progress=sys.stderr.isatty())
    except JobError as problem:
        sys.stderr.write(f"{problem}\n")
        sys.exit(2)
    if compared is not None:
        sys.stdout.write(f"{compared}: the new weights are {f'in {job.out}/model' if compared.better else 'dropped'}\n")
