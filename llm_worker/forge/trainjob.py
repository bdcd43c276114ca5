"""What a training is asked to do."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from llm_worker.forge.jobfile import JobPart, read_file


class TrainJob(JobPart):
    """The file's keys are these fields."""

    data: Path
    """Folder that `data` wrote, relative to the job's file."""
    out: Path
    """Folder for state, log and the finished model; keep it out of the repository."""
    config: str = "frontdesk"
    """A configuration of llm_worker/model/configs; its vocabulary size is the vocabulary's."""
    start: Path | None = None
    """A model's folder to go on from (fine-tuning), with its configuration and vocabulary, in place of `config`."""
    lora: int = Field(default=0, ge=0)
    """Rank of matrices that learn beside those of `start`, which then stay as they are; 0: all of it learns."""
    seed: int = 0
    steps: int = Field(default=4000, ge=1)
    groups: int = Field(default=1, ge=1)
    """Groups of conversations in a step."""
    most: int = Field(default=8, ge=1)
    """Conversations in a group."""
    longest: int = Field(default=4096, ge=16)
    """Tokens; longer conversations are left out."""
    rate: float = Field(default=1e-3, gt=0)
    """Highest learning rate; it rises over `warm_up` steps, and falls to nothing over the last `fall` of all."""
    fall: float = Field(default=0.25, gt=0, le=1)
    warm_up: int = Field(default=100, ge=0)
    decay: float = Field(default=0.1, ge=0)
    """Of matrices and tables."""
    clip: float = Field(default=1.0, gt=0)
    """Largest norm of a gradient."""
    others: float = Field(default=0.3, ge=0)
    """Weight of the tokens that callers and tools say: tools repeat names and days, from which copying is learnt."""
    calls: float = Field(default=3.0, ge=0)
    """Weight of the tokens of tool calls: in them is less chance than in wording, and more to lose."""
    balance: float = Field(default=0.01, ge=0)
    """Weight of the load-balancing loss."""
    device: Literal["cpu", "cuda"] = "cpu"
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the computation; weights and optimiser are float32."""
    processes: int = Field(default=1, ge=1)
    """That share the groups of a step."""
    threads: int = Field(default=1, ge=1)
    """Of each process."""
    every: int = Field(default=200, ge=1)
    """Steps between looks at the held-out conversations."""
    held: int = Field(default=200, ge=0)
    """Held-out conversations that are looked at."""
    save_seconds: float = Field(default=60, gt=0)
    store: Literal["bf16", "f32", "int8"] = "bf16"
    """How the finished weights are written."""

    @model_validator(mode="after")
    def _shared(self) -> "TrainJob":
        if self.lora and self.start is None:
            raise ValueError("lora: there must be a model to `start` from")
        if self.groups % self.processes:
            raise ValueError(f"groups: {self.groups} cannot be shared by {self.processes} processes")
        return self


def read_train_job(path: Path) -> TrainJob:
    """The job of a file, its paths resolved. Raises JobError."""
    job = read_file(path, TrainJob)
    folders = {"data": job.data, "out": job.out} | ({"start": job.start} if job.start else {})
    return job.model_copy(update={name: path.parent / folder for name, folder in folders.items()})
