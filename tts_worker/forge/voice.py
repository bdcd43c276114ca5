"""A trained voice as the engine has it: a folder in the published layout, and speech through the engine's runner."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tts_worker.engine import Sound
from tts_worker.forge.codes import Frames
from tts_worker.forge.examples import TOKENIZER, Example, reference, voice_codes
from tts_worker.forge.speech_job import VoiceJob
from tts_worker.model.checkpoint import export
from tts_worker.model.config import END, SPECIALS
from tts_worker.model.files import CHECKPOINT, PARAMS, VOICES
from tts_worker.model.flow import GUIDANCE
from tts_worker.model.network import Voxtral
from tts_worker.model.prompt import text_ids, voice_ids
from tts_worker.model.voices import write_voice
from tts_worker.pieces import longest
from tts_worker.runner import Beginning, Runner
from tts_worker.tuning import Tuning

_AT_ONCE = 8


@dataclass(frozen=True)
class Take:
    """What a model made of a text."""

    frames: Frames
    """[T, books] Without shift and END."""
    ended: bool
    """By itself; else it is a runaway, and was ended."""

    def sound(self, model: Voxtral) -> Sound:
        """Samples, −1 to 1."""
        if not len(self.frames):
            return np.zeros(0, np.float32)
        codes = torch.from_numpy(self.frames.astype(np.int64))[None].to(model.text_embedding.weight.device)
        with torch.inference_mode():
            made: Sound = model.decoder.whole(codes)[0].clamp(-1, 1).float().cpu().numpy()
        return made


def voices(known: Sequence[Example], job: VoiceJob) -> dict[str, Frames]:
    """The reference of each speaker, by the name of the voice: of utterances that were trained on the first that is as
    long as references get, or else the longest."""
    most = job.speech.prefix[1]
    found: dict[str, Example] = {}
    for example in (one for one in known if not one.clip.line.held_out):
        speaker = example.clip.line.speaker
        before = found.get(speaker)
        if before is None or len(before.frames) < min(most, len(example.frames)):
            found[speaker] = example
    return {speaker: reference(example, most) for speaker, example in found.items()}


@torch.inference_mode()
def voice_rows(model: Voxtral, frames: Frames) -> Tensor:
    """[N, D] What a prompt has in place of a reference's frames."""
    codes = torch.from_numpy(voice_codes(frames)).to(model.text_embedding.weight.device)
    rows: Tensor = model.frame_embedding(codes).cpu()
    return rows


def write_voice_model(model: Voxtral, job: VoiceJob, known: Sequence[Example], folder: Path) -> None:
    """What `TRUNKLINE_TTS_MODEL_FOLDER` names. Each file appears complete or not at all. It has no vocabulary: the
    model reads bytes."""
    (folder / VOICES).mkdir(parents=True, exist_ok=True)
    params = json.dumps(model.config.model_dump(mode="json"), indent=2)
    _whole(folder / PARAMS, lambda path: path.write_text(f"{params}\n", encoding="utf-8"))
    _whole(folder / CHECKPOINT, lambda path: export(model, path))
    for name, frames in voices(known, job).items():
        write_voice(folder / VOICES, name, voice_rows(model, frames))


def speak(model: Voxtral, rows: Tensor, texts: Sequence[str], seed: int, guidance: float = GUIDANCE) -> list[Take]:
    """Each text, normalised already, with the voice of `rows` [N, D]: noise of its own, and an end where the model says
    so, or the engine's limit is."""
    first, prompts = voice_ids(TOKENIZER, len(rows)), [text_ids(TOKENIZER, text) for text in texts]
    most = [longest(text) for text in texts]
    length = len(first) + max(len(ids) + limit for ids, limit in zip(prompts, most, strict=True)) + 1
    slots = min(_AT_ONCE, len(texts))
    runner = Runner(model, slots, length, Tuning())
    prefix = runner.voice(first, rows)
    takes: list[Take] = []
    for begin in range(0, len(texts), slots):
        group = range(begin, min(begin + slots, len(texts)))
        runner.begin([Beginning(n - begin, prefix, prompts[n], seed + n, guidance) for n in group])
        takes += _frames(runner, [most[n] for n in group])
    return takes


def _frames(runner: Runner, most: list[int]) -> list[Take]:
    """Of the streams in the first slots, each up to a number of frames."""
    made: list[list[Frames]] = [[] for _ in most]
    ended = [False] * len(most)
    while active := [slot for slot, limit in enumerate(most) if not ended[slot] and len(made[slot]) < limit]:
        frames, finite = runner.step(active).take()
        for slot, frame, sound in zip(active, frames.astype(np.int16), finite, strict=True):
            if not sound:
                raise FloatingPointError("the model gives numbers that are not finite")
            if frame[0] == END:
                ended[slot] = True
            else:
                made[slot].append(frame - SPECIALS)
    books = 1 + runner.model.heads.books
    return [Take(np.array(one, np.int16).reshape(-1, books), end) for one, end in zip(made, ended, strict=True)]


def _whole(path: Path, write: Callable[[Path], object]) -> None:
    temporary = path.with_suffix(".tmp")
    write(temporary)
    temporary.replace(path)
