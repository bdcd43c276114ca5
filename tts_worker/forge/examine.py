"""How well held-out texts are told and spoken: losses along the teacher's codes, then free speech through the engine's
runner, its length, its ends and the words understood, beside the teacher's."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import torch

from tts_worker.engine import SAMPLE_RATE, Sound
from tts_worker.forge.corpus import LANGUAGE
from tts_worker.forge.ears import Ears, WordError
from tts_worker.forge.examples import Example, together
from tts_worker.forge.job import JobError
from tts_worker.forge.objective import told
from tts_worker.forge.pictures import curves, spectrograms
from tts_worker.forge.speech_job import VoiceJob
from tts_worker.forge.voice import Take, speak, voice_rows, voices, write_voice_model
from tts_worker.model.network import Voxtral
from tts_worker.normalise import normalise

if TYPE_CHECKING:
    from tts_worker.forge.speech import SpeechTraining

EVALUATIONS = "evaluations.jsonl"
_SHOWN = 3
"""Utterances of which samples and pictures are kept."""
_LOSSES = ["semantic", "flow", "right", "gradient"]
_MEASURES = ["word_error", "word_error_phone", "semantic", "flow", "right", "end_recall", "length", "ended"]
_TOGETHER = 8


def examine(training: "SpeechTraining", known: Sequence[Example]) -> dict[str, float]:
    """Measure what the averaged weights do, add a line to the evaluations, write the model, samples and pictures."""
    from tts_worker.forge.speech import LOG, speech_folder

    folder = speech_folder(training.job)
    shown = folder / "samples" / f"{training.step:06d}"
    shown.mkdir(parents=True, exist_ok=True)
    held = examined(training.job, known)
    model = training.averaged()
    write_voice_model(model, training.job, known, folder / "model")
    report = followed(training, model, held, known) | spoken(training, model, held, known, shown)
    with (folder / EVALUATIONS).open("a", encoding="utf-8") as file:
        file.write(f"{json.dumps({'step': training.step} | report)}\n")
    if (folder / LOG).exists():
        curves(folder / LOG, _LOSSES, folder / "losses.png")
    curves(folder / EVALUATIONS, _MEASURES, folder / "evaluations.png")
    return report


def examined(job: VoiceJob, known: Sequence[Example]) -> list[Example]:
    """The held-out utterances that are spoken. Raises JobError where there are none."""
    voiced = voices(known, job)  # a speaker all of whose texts are held out has no voice
    held = [one for one in known if one.clip.line.held_out and one.clip.line.speaker in voiced]
    if not held:
        raise JobError("no text of the corpus is held out; it needs more utterances")
    return held[: job.speech.evaluate]


@torch.no_grad()
def followed(
    training: "SpeechTraining", model: Voxtral, held: Sequence[Example], known: Sequence[Example]
) -> dict[str, float]:
    """Losses where the teacher's codes so far are given, how often the likeliest code is the teacher's, and how often
    END is, where the teacher ends."""
    voice, settings = voices(known, training.job), training.settings
    parts, ends = [], []
    for begin in range(0, len(held), _TOGETHER):
        group = held[begin : begin + _TOGETHER]
        pairs = [(example, voice[example.clip.line.speaker]) for example in group]
        batch = together(pairs, settings.silence).to(training.device)
        with training.precision():
            losses = told(model, batch, settings, training.generator(begin))
        parts.append([float(losses.semantic), float(losses.flow), float(losses.right), len(batch.semantic)])
        ends += losses.ends.tolist()
    semantic, flow, right, count = np.array(parts).T
    means = {"semantic": semantic, "flow": flow, "right": right}
    report = {name: round(float(np.average(values, weights=count)), 4) for name, values in means.items()}
    return report | {"end_recall": round(float(np.mean(ends)), 4)}


def spoken(
    training: "SpeechTraining", model: Voxtral, held: Sequence[Example], known: Sequence[Example], shown: Path
) -> dict[str, float]:
    """Words understood of free speech and of the teacher's, near and over the phone; frames against the teacher's and
    for each character; how many found an end."""
    takes = _takes(training, model, held, known)
    errors = {name: WordError() for name in ("word_error", "word_error_phone")}
    before = {name: WordError() for name in errors}
    for number, (example, take) in enumerate(zip(held, takes, strict=True)):
        sound, text = take.sound(model), example.clip.line.text
        for (name, error), phone in zip(errors.items(), (False, True), strict=True):
            error.add(text, _ears().hear(sound, phone) if len(sound) else "")
            before[name].add(text, _originally(shown.parent.parent, example, phone))
        if number < _SHOWN and len(sound):
            _show(shown / str(number), example.clip.sound, sound, training.step)
    made, true = (sum(len(one.frames) for one in group) for group in (takes, held))
    return (
        {name: round(error.rate, 4) for name, error in errors.items()}
        | {f"{name}_original": round(error.rate, 4) for name, error in before.items()}
        | {
            "length": round(made / true, 4),
            "frames_per_character": round(made / sum(len(example.clip.line.text) for example in held), 4),
            "ended": round(sum(take.ended for take in takes) / len(takes), 4),
        }
    )


def _takes(training: "SpeechTraining", model: Voxtral, held: Sequence[Example], known: Sequence[Example]) -> list[Take]:
    """Each text in its speaker's voice."""
    takes: dict[int, Take] = {}
    for speaker, frames in voices(known, training.job).items():
        mine = [number for number, example in enumerate(held) if example.clip.line.speaker == speaker]
        if mine:
            texts = [normalise(held[number].clip.line.text, LANGUAGE).text for number in mine]
            made = speak(model, voice_rows(model, frames), texts, training.job.seed)
            takes |= dict(zip(mine, made, strict=True))
    return [takes[number] for number in range(len(held))]


def _show(path: Path, true: Sound, made: Sound, step: int) -> None:
    soundfile.write(f"{path}_teacher.wav", true, SAMPLE_RATE)
    soundfile.write(f"{path}_model.wav", made, SAMPLE_RATE)
    spectrograms({"teacher": true, f"step {step}": made}, path.with_suffix(".png"))


@cache
def _ears() -> Ears:
    return Ears()


def _originally(folder: Path, example: Example, phone: bool) -> str:
    """What is understood of the teacher; kept in a file, since it never changes."""
    path, key = folder / "originals.json", f"{'phone' if phone else 'near'}: {example.clip.line.text}"
    known: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if key not in known:
        known[key] = _ears().hear(example.clip.sound, phone)
        path.write_text(json.dumps(known, ensure_ascii=False, indent=0), encoding="utf-8")
    return known[key]
