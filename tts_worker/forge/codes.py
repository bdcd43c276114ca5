"""The corpus as frames of codes: made once with a trained codec, read by every later step."""

from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from tts_worker.forge.codec import WEIGHTS, codec_folder
from tts_worker.forge.corpus import corpus_folder
from tts_worker.forge.job import Job, JobError
from tts_worker.forge.store import Clip, Line, read_corpus, write_whole
from tts_worker.forge.weights import read_codec
from tts_worker.model.network import Voxtral, build

Frames = npt.NDArray[np.int16]
_BATCH = 16


@dataclass(frozen=True)
class Coded:
    """An utterance."""

    line: Line
    frames: Frames
    """[T, books] Codes without shift; the last frame may end in silence that was added."""


def codes_folder(job: Job) -> Path:
    """Where the codes of the job's codec are: another codec, another folder. Raises JobError."""
    path = codec_folder(job) / WEIGHTS
    try:
        return job.folder / "codes" / f"{crc32(path.read_bytes()):08x}"
    except OSError as error:
        raise JobError(f"{path}: {error.strerror}; train it first: python -m tts_worker.forge codec JOB") from None


def make_codes(job: Job, device: str = "cpu") -> None:
    """All shards that are not there yet. Raises JobError."""
    torch.set_num_threads(job.codec.threads)
    folder = codes_folder(job)
    model = _codec(job, device)
    folder.mkdir(parents=True, exist_ok=True)
    shards: dict[str, list[Clip]] = {}
    for clip in read_corpus(corpus_folder(job)):
        shards.setdefault(clip.name, []).append(clip)
    for name, clips in tqdm(shards.items(), unit="shard", desc="codes"):
        if not (folder / f"{name}.npy").exists():
            frames = [
                made for first in range(0, len(clips), _BATCH) for made in encoded(model, clips[first : first + _BATCH])
            ]
            write_whole(folder / f"{name}.npy", np.concatenate(frames))


def read_codes(job: Job) -> list[Coded]:
    """Every utterance of the corpus. Raises JobError where one has no codes."""
    folder, frame = codes_folder(job), job.model().codec.frame
    shards: dict[str, Frames] = {}
    places: dict[str, int] = {}
    made = []
    for clip in read_corpus(corpus_folder(job)):
        path = folder / f"{clip.name}.npy"
        if clip.name not in shards:
            if not path.exists():
                raise JobError(f"{path} is not there; make it: python -m tts_worker.forge codes JOB")
            shards[clip.name] = np.load(path, mmap_mode="r")
        first = places.get(clip.name, 0)
        places[clip.name] = first - (-clip.line.length // frame)
        made.append(Coded(clip.line, shards[clip.name][first : places[clip.name]]))
    return made


@torch.inference_mode()
def encoded(model: Voxtral, clips: list[Clip]) -> list[Frames]:
    """Frames of each clip. The encoder never looks ahead, so the silence behind a shorter one changes nothing."""
    encoder, frame = model.encoder, model.config.codec.frame
    if encoder is None:
        raise ValueError("this model has no encoder")
    lengths = [-(-clip.line.length // frame) for clip in clips]
    sounds: list[Tensor] = [torch.from_numpy(clip.sound) for clip in clips]
    samples = pad_sequence(sounds, batch_first=True)
    samples = torch.nn.functional.pad(samples, (0, max(lengths) * frame - samples.shape[1]))
    like = next(encoder.parameters())
    latent, _ = encoder(samples.to(like.device), encoder.fresh(len(clips)))
    codes = model.decoder.quantiser.encode(latent).cpu().numpy().astype(np.int16)
    return [codes[row, :length] for row, length in enumerate(lengths)]


def _codec(job: Job, device: str) -> Voxtral:
    model = build(job.model(), 1, encoder=True, dtype=torch.float32, device=device)
    read_codec(codec_folder(job) / WEIGHTS, model)
    return model
