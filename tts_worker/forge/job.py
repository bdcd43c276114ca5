"""A job: one TOML file that says what is made, and a seed. PURE but for reading it."""

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tts_worker.model.config import Config, ConfigError, load_config, shipped_config


class JobError(Exception):
    """The job cannot be done; the text says what is wrong in it, or what is missing on the disk."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class CorpusJob(_Part):
    """Recordings with transcripts, or sentences that the packaged voice says."""

    recordings: Path | None = None
    """Folder of sound files, each beside a text file of the same name. Without it the teacher speaks."""
    speaker: str = ""
    """Of the recordings; "" takes the name of the folder that a file lies in."""
    licence: str = ""
    """Under which the recordings may be used: it goes into the manifest, and must be given."""
    sentences: int = Field(default=20_000, ge=1)
    """That the teacher says."""
    shard: int = Field(default=250, ge=1)
    """Utterances that are stored together."""
    processes: int = Field(default=1, ge=1)
    """That make the corpus at the same time."""
    speed: tuple[float, float] = (0.85, 1.15)
    """Of the teacher, from and to: 1 is its own."""
    pitch: float = Field(default=1.0, ge=0)
    """Semitones by which the teacher's pitch varies from text to text (standard deviation)."""
    liveliness: tuple[float, float] = (0.7, 1.5)
    """By which the rises and falls of its pitch are multiplied, from and to."""
    loudness: float = Field(default=-23.0, le=0)
    """dB of full scale, of the parts that sound."""


class CodecJob(_Part):
    """Sizes come from the model's configuration; this is how it is trained."""

    encoder: str = ""
    """Layers of the encoder's stages, from the highest rate on, "1,1,2,2" for one; "" takes the configuration's."""
    steps: int = Field(default=10_000, ge=1)
    """In all; more can be added to a run that has not begun to cool down."""
    batch: int = Field(default=8, ge=1)
    """Crops of a step."""
    frames: int = Field(default=25, ge=2)
    """Of a crop; 80 ms each."""
    rate: float = Field(default=6e-4, gt=0)
    """Of learning, at its highest."""
    warm_up: int = Field(default=200, ge=0)
    """Steps in which it rises."""
    cool_down: float = Field(default=0.25, ge=0, le=1)
    """Share of the steps at the end over which the rate falls to zero."""
    clip: float = Field(default=1.0, gt=0)
    """Length of gradient beyond which it is shortened."""
    branches: float = Field(default=0.25, gt=0)
    """Scale with which the branches of the transformer layers begin. The published 0.01 is meant for longer runs."""
    wave: float = 3.0
    """Weight of the waveform."""
    wave_decay: float = 0.9998
    """By which the weight of the waveform falls each step."""
    spectrum: float = 0.5
    """Weight of magnitudes."""
    mel: float = 0.5
    """Weight of logarithms of mel magnitudes."""
    commitment: float = 0.25
    """Weight of the distance between semantic vectors and their entries."""
    excess: float = 0.3
    """Weight of acoustic values that lie where tanh is flat, and do not learn any more."""
    sounds: float = 0.5
    """Weight of telling sounds from semantic vectors."""
    slots: int = Field(default=2, ge=1)
    """Parts of a frame of which each has its sound."""
    adversary_from: int | None = None
    """Step at which discriminators begin; None: never. They cost a processor dearly."""
    adversary_windows: tuple[int, ...] = (2296, 1418, 876, 542, 334, 206, 126, 76)
    """Samples; the published ones."""
    adversary_channels: int = Field(default=32, ge=1)
    """Of each layer."""
    adversary_rate: float = Field(default=3e-4, gt=0)
    """Of their learning."""
    features: float = 2.0
    """Weight of feature matching."""
    fooling: float = 0.0
    """Weight of fooling the discriminators; the paper has none."""
    table_decay: float = Field(default=0.99, gt=0, lt=1)
    """Share of its running averages that the table keeps each step."""
    table_least: float = 0.1
    """Share of its due below which an entry of the table is dead and begins anew elsewhere."""
    bfloat16: bool = False
    """Whether matrices are multiplied in it."""
    threads: int = Field(default=2, ge=1)
    """Of the processor. One is right for a machine that does other work: threads wait for each other."""
    save_every: int = Field(default=200, ge=1)
    """Steps."""
    evaluate_every: int = Field(default=1000, ge=1)
    """Steps."""
    evaluate: int = Field(default=24, ge=1)
    """Held-out utterances."""


class Job(_Part):
    """The whole file."""

    name: str
    """Of the voice."""
    seed: int = 0
    """From which everything that is drawn follows."""
    folder: Path
    """Where everything goes that is made; a relative one is looked for from where the command is given."""
    config: str = "micro"
    """A shipped configuration, or the path of a params.json."""
    corpus: CorpusJob = CorpusJob()
    codec: CodecJob = CodecJob()

    def model(self) -> Config:
        """Sizes. Raises JobError."""
        try:
            shipped = self.config in ("micro", "nano", "4b")
            config = shipped_config(self.config) if shipped else load_config(Path(self.config))
        except ConfigError as error:
            raise JobError(str(error)) from None
        if not self.codec.encoder:
            return config
        fields = config.model_dump()
        fields["multimodal"]["audio_tokenizer_args"]["encoder_transformer_lengths_str"] = self.codec.encoder
        try:
            return Config.model_validate(fields)
        except ValidationError as error:
            raise JobError(f"codec.encoder: {error.errors()[0]['msg']}") from None


J = TypeVar("J", bound=Job)


def describe() -> str:
    """Every field of a job, for `--help`."""
    tables: list[tuple[str, type[BaseModel]]] = [("", Job), ("[corpus]", CorpusJob), ("[codec]", CodecJob)]
    lines = ["fields of a job:"]
    for title, part in tables:
        lines += [f"  {title}"] if title else []
        for name, field in part.model_fields.items():
            if field.default not in (CorpusJob(), CodecJob()):
                default = "" if field.is_required() else f" ({field.default!r})"
                lines.append(f"  {name}{default}: {' '.join((field.description or '').split())}")
    return "\n".join(lines)


def read_job(path: Path, folder: Path | None = None) -> Job:
    """The job of a file, in another folder if one is given. Raises JobError."""
    return read_file(path, folder, Job)


def read_file(path: Path, folder: Path | None, kind: type[J]) -> J:
    """The same for a job that has more parts."""
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        return kind.model_validate(fields | ({"folder": folder} if folder else {}))
    except OSError as error:
        raise JobError(f"{path}: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise JobError(f"{path} is no TOML: {error}") from None
    except ValidationError as error:
        lines = (f"{path}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise JobError("\n".join(lines)) from None
