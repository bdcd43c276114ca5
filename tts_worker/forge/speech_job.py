"""The part of a job that trains backbone and heads. PURE but for reading it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from tts_worker.forge.job import Job, read_file
from tts_worker.forge.job import describe as describe_job


class SpeechJob(BaseModel):
    """Sizes come from the model's configuration; this is how it is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    steps: int = Field(default=24_000, ge=1)
    """In all. The rate falls towards the last, so a run that is to be longer begins anew."""
    positions: int = Field(default=3000, ge=64)
    """Of a step at most, padding included: voice, text and frames of its utterances."""
    prefix: tuple[int, int] = (12, 38)
    """Frames of the reference in front of an utterance, from and to; the voice that is written has the most."""
    draws: int = Field(default=4, ge=1)
    """Times and noises at which the flow is learned for each frame."""
    unconditional: float = Field(default=0.1, ge=0, lt=1)
    """Share of draws for which the flow does not see the backbone's state: what guidance needs."""
    silence: float = Field(default=0.2, ge=0, le=1)
    """Weight of a silent frame; others have 1."""
    flow: float = Field(default=1.0, gt=0)
    """Weight of the flow's loss beside that of the semantic codes."""
    rate: float = Field(default=1e-3, gt=0)
    """Of learning, at its highest."""
    warm_up: int = Field(default=500, ge=0)
    """Steps in which it rises; a cosine takes it to nothing from there on."""
    decay: float = Field(default=0.05, ge=0)
    """Of matrices; embeddings and norms keep theirs."""
    clip: float = Field(default=1.0, gt=0)
    """Length of gradient beyond which it is shortened."""
    average: float = Field(default=0.999, ge=0, lt=1)
    """Share that the running average of the weights keeps each step, less at the beginning. It is what speaks."""
    bfloat16: bool = False
    """Whether matrices are multiplied in it."""
    threads: int = Field(default=1, ge=1)
    """Of the processor."""
    save_every: int = Field(default=100, ge=1)
    """Steps."""
    evaluate_every: int = Field(default=1000, ge=1)
    """Steps."""
    evaluate: int = Field(default=24, ge=1)
    """Held-out utterances."""


class VoiceJob(Job):
    """The whole file, with what is behind the codec."""

    speech: SpeechJob = SpeechJob()


def describe() -> str:
    """Every field of a job, for `--help`."""
    lines = [describe_job(), "  [speech]"]
    for name, field in SpeechJob.model_fields.items():
        lines.append(f"  {name} ({field.default!r}): {' '.join((field.description or '').split())}")
    return "\n".join(lines)


def read_voice_job(path: Path, folder: Path | None = None) -> VoiceJob:
    """The job of a file, in another folder if one is given. Raises JobError."""
    return read_file(path, folder, VoiceJob)
