"""What a codec makes of held-out speech: words understood beside those of the original, distances, use of the codes,
pictures and samples."""

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import torch
from torch import Tensor

from tts_worker.engine import SAMPLE_RATE, Sound
from tts_worker.forge.corpus import corpus_folder
from tts_worker.forge.ears import Ears, WordError
from tts_worker.forge.job import Job, JobError
from tts_worker.forge.phones import sounding
from tts_worker.forge.pictures import curves, spectrograms
from tts_worker.forge.store import Clip, read_corpus

if TYPE_CHECKING:
    from tts_worker.forge.codec import CodecTraining

EVALUATIONS = "evaluations.jsonl"
_SHOWN = 3
"""Utterances of which samples and pictures are kept."""
_LOSSES = ["mel", "spectrum", "wave", "sounds", "commitment", "excess", "used", "gradient", "features", "discriminator"]
_MEASURES = [
    "word_error",
    "word_error_phone",
    "mel",
    "spectrum",
    "sounds_told",
    "semantic_used",
    "acoustic_bits",
    "acoustic_outermost",
]


def listen(job: Job) -> None:
    """Evaluate the state in a job's folder. Raises JobError where there is none."""
    from tts_worker.forge.codec import STATE, CodecTraining, codec_folder

    torch.set_num_threads(job.codec.threads)
    path = codec_folder(job) / STATE
    if not path.exists():
        raise JobError(f"{path} is not there; train first: python -m tts_worker.forge codec JOB")
    training = CodecTraining(job, "cpu")
    training.restore(path)
    evaluate(training)


def evaluate(training: "CodecTraining") -> dict[str, float]:
    """Measure, add a line to the evaluations, and write samples and pictures into a folder named for the step."""
    from tts_worker.forge.codec import LOG, codec_folder

    folder = codec_folder(training.job)
    shown = folder / "samples" / f"{training.step:06d}"
    shown.mkdir(parents=True, exist_ok=True)
    clips = [clip for clip in read_corpus(corpus_folder(training.job)) if clip.line.held_out]
    report = measure(training, clips[: training.settings.evaluate], folder, shown)
    with (folder / EVALUATIONS).open("a", encoding="utf-8") as file:
        file.write(f"{json.dumps({'step': training.step} | report)}\n")
    if (folder / LOG).exists():
        curves(folder / LOG, _LOSSES, folder / "losses.png")
    curves(folder / EVALUATIONS, _MEASURES, folder / "evaluations.png")
    return report


def measure(training: "CodecTraining", clips: list[Clip], folder: Path, shown: Path) -> dict[str, float]:
    """Numbers over `clips`, each at most once through the codec. Raises JobError where there are none."""
    if not clips:
        raise JobError("no text of the corpus is held out; it needs more utterances")
    errors = {name: WordError() for name in ("word_error", "word_error_phone")}
    before = {name: WordError() for name in errors}
    distances, told, codes = [], [], []
    for number, clip in enumerate(clips):
        true = _whole_frames(clip.sound, training.config.frame)
        samples = torch.from_numpy(true)[None].to(training.device)
        frames = training.nets.codes(samples)
        made = training.nets.decoder.whole(frames).detach()
        distance = training.spectra(made, samples)
        distances.append([float(distance.mel), float(distance.spectrum)])
        codes.append(frames[0].cpu())
        told += _told(training, clip, frames)
        sound = made[0].clamp(-1, 1).cpu().numpy()
        for (name, error), phone in zip(errors.items(), (False, True), strict=True):
            error.add(clip.line.text, _ears().hear(sound, phone))
            before[name].add(clip.line.text, _originally(folder, clip, phone))
        if number < _SHOWN:
            soundfile.write(shown / f"{number}_original.wav", true, SAMPLE_RATE)
            soundfile.write(shown / f"{number}_codec.wav", sound, SAMPLE_RATE)
            spectrograms({"original": true, f"step {training.step}": sound}, shown / f"{number}.png")
    mel, spectrum = np.mean(distances, axis=0)
    return (
        {name: round(error.rate, 4) for name, error in errors.items()}
        | {f"{name}_original": round(error.rate, 4) for name, error in before.items()}
        | {"mel": round(float(mel), 4), "spectrum": round(float(spectrum), 4)}
        | ({"sounds_told": round(float(np.mean(told)), 4)} if told else {})
        | code_use(torch.cat(codes), training.config.acoustic_codebook_size)
    )


def code_use(codes: Tensor, levels: int) -> dict[str, float]:
    """Of codes without shift [frames, books]: how many semantic entries occur, how many are even used (perplexity),
    the bits that an acoustic code carries on average, and how often it is one of the two outermost levels."""
    _, counts = codes[:, 0].unique(return_counts=True)
    acoustic = codes[:, 1:]
    bits = [_entropy(acoustic[:, book].unique(return_counts=True)[1]) for book in range(acoustic.shape[1])]
    outermost = ((acoustic == 0) | (acoustic == levels - 1)).float().mean()
    return {
        "frames": len(codes),
        "semantic_entries": len(counts),
        "semantic_used": round(2 ** _entropy(counts), 1),
        "acoustic_bits": round(float(np.mean(bits)), 3),
        "acoustic_outermost": round(float(outermost), 4),
    }


def _entropy(counts: Tensor) -> float:
    """Bits."""
    share = counts.double() / counts.sum()
    return float(-(share * share.log2()).sum())


@torch.no_grad()
def _told(training: "CodecTraining", clip: Clip, frames: Tensor) -> list[bool]:
    """Whether the right sound is the most likely one, for each part of each frame."""
    if not clip.line.phones:
        return []
    slots = training.settings.slots
    semantic = training.nets.decoder.quantiser.table()[frames[..., 0]]
    guess = training.nets.read(semantic)[0].argmax(-1).flatten().cpu().numpy()
    classes = np.array([training.phones.index(phone) for phone in clip.line.phones])
    right = sounding(classes, np.array(clip.line.ends), 0, len(guess), training.config.frame // slots)
    return list(guess == right)


def _whole_frames(sound: Sound, frame: int) -> Sound:
    return np.pad(sound, (0, -len(sound) % frame))


@cache
def _ears() -> Ears:
    return Ears()


def _originally(folder: Path, clip: Clip, phone: bool) -> str:
    """What is understood of an original; kept in a file, since it never changes."""
    path, key = folder / "originals.json", f"{'phone' if phone else 'near'}: {clip.line.text}"
    known: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if key not in known:
        known[key] = _ears().hear(clip.sound, phone)
        path.write_text(json.dumps(known, ensure_ascii=False, indent=0), encoding="utf-8")
    return known[key]
