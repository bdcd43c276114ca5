"""What a reinforcement step is asked to do."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from llm_worker.forge.jobfile import JobPart, read_file


class ReinforceJob(JobPart):
    """The file's keys are these fields."""

    start: Path
    """Folder of the model to begin with, as `train` writes it, relative to the job's file."""
    out: Path
    """Folder for state, log, result and, if it is better, the model; keep it out of the repository."""
    seed: int = 0
    steps: int = Field(default=100, ge=1)
    callers: int = Field(default=4, ge=1)
    """Different callers in a step."""
    samples: int = Field(default=8, ge=2)
    """Attempts with each of them, which are compared with each other."""
    first: int = Field(default=1_000_000, ge=0)
    """Number of the first caller: none that training data were made of."""
    noise: float = Field(default=0.0, ge=0)
    """Multiplies the recogniser's error rates on callers' words; 0 is none."""
    temperature: float = Field(default=1.0, gt=0)
    """Of the attempts. Held-out exercises are tried with the likeliest tokens."""
    passes: int = Field(default=1, ge=1)
    """Updates with the attempts of a step."""
    rate: float = Field(default=1e-5, gt=0)
    """Learning rate (AdamW)."""
    low: float = Field(default=1.0, ge=0, le=1)
    """The ratio of probabilities is kept above 1 − low; 1 is no bound."""
    high: float = Field(default=0.28, ge=0)
    """… and below 1 + high."""
    kl: float = Field(default=0.0, ge=0)
    """Weight of the divergence from the weights at the start."""
    balance: float = Field(default=0.01, ge=0)
    """Weight of the load-balancing loss."""
    clip: float = Field(default=1.0, gt=0)
    """Largest norm of a gradient."""
    most: int = Field(default=8, ge=1)
    """Conversations that are computed at a time in an update."""
    at_once: int = Field(default=32, ge=1)
    """Attempts that are under way at a time."""
    longest: int = Field(default=4096, ge=16)
    """Tokens of a conversation; an attempt that becomes longer has failed."""
    answer: int = Field(default=200, ge=1)
    """Tokens of an answer."""
    held: int = Field(default=200, ge=1)
    """Held-out exercises, tried before the first step and after the last."""
    first_held: int = Field(default=100_000, ge=0)
    """Number of the first of them: those of `evaluate` are left for it."""
    threads: int = Field(default=1, ge=1)
    save_seconds: float = Field(default=60, ge=0)
    store: Literal["bf16", "f32", "int8"] = "f32"
    """How the weights are written that are kept."""


def read_reinforce_job(path: Path) -> ReinforceJob:
    """The job of a file, its paths resolved. Raises JobError."""
    job = read_file(path, ReinforceJob)
    return job.model_copy(update={"start": path.parent / job.start, "out": path.parent / job.out})
