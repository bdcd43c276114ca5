"""Train backbone and heads on the codes of the corpus. Every step follows from the seed and the state before it, as in
the codec's training; the same holds for the running average of the weights, which is what speaks."""

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from tts_worker.forge.codec import WEIGHTS, codec_folder
from tts_worker.forge.codes import codes_folder, read_codes
from tts_worker.forge.corpus import corpus_folder
from tts_worker.forge.examples import VOICE, Draws, Example, SpeechBatch, examples
from tts_worker.forge.job import JobError
from tts_worker.forge.objective import initialise, rate, told, trained
from tts_worker.forge.run import Notes, asked_to_stop
from tts_worker.forge.speech_job import SpeechJob, VoiceJob
from tts_worker.forge.store import read_corpus
from tts_worker.forge.weights import read_codec
from tts_worker.model.network import Voxtral, build

STATE, LOG = "state.pt", "log.jsonl"
_BETAS = (0.9, 0.95)
_SOONER = 10
"""Steps by which the running average forgets where training began."""


def speech_folder(job: VoiceJob) -> Path:
    """Where state, log, evaluations and the model are."""
    return job.folder / "speech"


class SpeechTraining:
    """A run: the model, its average, the optimiser, and how far it is."""

    def __init__(self, job: VoiceJob, device: str) -> None:
        """Raises JobError, where there is no codec too."""
        self.job, self.settings, self.device = job, job.speech, torch.device(device)
        self.codes = codes_folder(job).name
        """Which codec's: the fingerprint of its weights."""
        self.model = _model(job, self.device)
        initialise(self.model, job.seed)
        read_codec(codec_folder(job) / WEIGHTS, self.model)
        self._trained = trained(self.model)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in self._trained)
        self.average = {name: parameter.detach().clone() for name, parameter in self._trained.items()}
        self.optimiser = _optimiser(self._trained, self.settings)
        self.step = 0
        self.frames = 0
        """Of speech, seen so far."""
        self.seconds = 0.0
        """Spent on the steps so far."""

    def advance(self, batch: SpeechBatch) -> dict[str, float]:
        """One step; the losses before it."""
        settings = self.settings
        for group in self.optimiser.param_groups:
            group["lr"] = rate(settings, self.step)
        with self.precision():
            losses = told(self.model, batch.to(self.device), settings, self.generator(self.step))
        self.optimiser.zero_grad()
        (losses.semantic + settings.flow * losses.flow).backward()
        norm = torch.nn.utils.clip_grad_norm_(self._trained.values(), settings.clip)
        self.optimiser.step()
        self._follow()
        self.step += 1
        self.frames += len(batch.sounding)
        values = {"semantic": losses.semantic, "flow": losses.flow, "right": losses.right, "gradient": norm}
        return {name: float(value.detach()) for name, value in values.items()}

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average; in the beginning faster, since the first weights are random."""
        keep = min(self.settings.average, (1 + self.step) / (_SOONER + self.step))
        torch._foreach_lerp_(list(self.average.values()), list(self._trained.values()), 1 - keep)

    def precision(self) -> Any:
        """In which matrices are multiplied."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.settings.bfloat16 else nullcontext()

    def generator(self, step: int) -> torch.Generator:
        """What a step draws on the device."""
        seed = int(np.random.SeedSequence([self.job.seed, step]).generate_state(1)[0])
        return torch.Generator(self.device).manual_seed(seed)

    def averaged(self) -> Voxtral:
        """A model of its own with the average's weights."""
        made = _model(self.job, self.device)
        made.load_state_dict(self.model.state_dict() | self.average)
        return made

    def save(self, path: Path) -> None:
        """Everything that the next step depends on; the old file stays until the new one is complete."""
        temporary = path.with_suffix(".tmp")
        torch.save(
            {
                "codes": self.codes,
                "step": self.step,
                "frames": self.frames,
                "seconds": self.seconds,
                "weights": {name: parameter.detach() for name, parameter in self._trained.items()},
                "average": self.average,
                "optimiser": self.optimiser.state_dict(),
            },
            temporary,
        )
        temporary.replace(path)

    @torch.no_grad()
    def restore(self, path: Path) -> None:
        """Go on from a file. Raises JobError for one of another codec, or of other sizes."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["codes"] != self.codes:
            raise JobError(f"{path} learned the codes of another codec; its folder has to go, or the codec come back")
        if _shapes(state["weights"]) != _shapes(self._trained):
            raise JobError(f"{path} is of a model of other sizes than the job's config, {self.job.config}")
        for name, parameter in self._trained.items():
            parameter.copy_(state["weights"][name])
            self.average[name].copy_(state["average"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.frames, self.seconds = state["step"], state["frames"], state["seconds"]


def train_speech(job: VoiceJob, minutes: float | None = None, device: str = "cpu") -> None:
    """All steps of a job, or as many as can be made in `minutes`; from where the folder's state is. The model that it
    has come to is written last. Raises JobError."""
    from tts_worker.forge.voice import write_voice_model

    torch.set_num_threads(job.speech.threads)
    torch.set_float32_matmul_precision("high")
    end = time.monotonic() + 60 * minutes if minutes else float("inf")
    folder = speech_folder(job)
    training = SpeechTraining(job, device)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / STATE).exists():
        training.restore(folder / STATE)
    known = corpus_examples(job)
    with asked_to_stop() as asked:
        _run(training, known, folder, lambda: asked() or time.monotonic() > end)
    training.save(folder / STATE)
    write_voice_model(training.averaged(), job, known, folder / "model")


def corpus_examples(job: VoiceJob) -> list[Example]:
    """Every utterance of the corpus, held out or not. Raises JobError."""
    made = examples(read_corpus(corpus_folder(job)), read_codes(job))
    most, voice = job.model().max_seq_len, job.speech.prefix[1] + VOICE
    if longer := [example for example in made if example.length + voice > most]:
        worst = max(longer, key=lambda example: example.length)
        raise JobError(
            f"{len(longer)} utterances do not fit into the config's {most} positions: {worst.clip.line.text!r} takes "
            f"{worst.length + voice}"
        )
    return made


def draws_of(job: VoiceJob, known: list[Example]) -> Draws:
    """Batches of everything that is not held out. Raises JobError where there is nothing."""
    learned = [example for example in known if not example.clip.line.held_out]
    if not learned:
        raise JobError("every text of the corpus is held out; it needs more utterances")
    return Draws(learned, job.seed, job.speech.prefix)


def _run(training: SpeechTraining, known: list[Example], folder: Path, enough: Callable[[], bool]) -> None:
    from tts_worker.forge.examine import examine, examined  # loads a recogniser

    settings, draws = training.settings, draws_of(training.job, known)
    examined(training.job, known)  # what is missing for that is said now
    notes = Notes(folder / LOG, training.step)
    with tqdm(total=settings.steps, initial=training.step, desc="speech", unit="step", mininterval=10) as bar:
        while training.step < settings.steps and not enough():
            begun = time.monotonic()
            values = training.advance(draws.batch(training.step, settings.positions, settings.silence))
            training.seconds += time.monotonic() - begun
            notes.add(training.step, training.seconds, values)
            bar.update()
            bar.set_postfix({name: f"{values[name]:.3f}" for name in ("semantic", "flow", "right")}, refresh=False)
            last = training.step == settings.steps
            if training.step % settings.save_every == 0 or last:
                training.save(folder / STATE)
            if training.step % settings.evaluate_every == 0 or last:
                examine(training, known)


def _model(job: VoiceJob, device: torch.device) -> Voxtral:
    config = job.model()
    return build(config, config.max_seq_len, encoder=True, dtype=torch.float32, device=device)


def _optimiser(parameters: Mapping[str, torch.nn.Parameter], settings: SpeechJob) -> torch.optim.AdamW:
    """Matrices decay; norms, and embeddings, of which a step sees a few rows, do not."""
    matrices = [p for name, p in parameters.items() if p.ndim > 1 and "embedding" not in name]
    others = [p for name, p in parameters.items() if p.ndim == 1 or "embedding" in name]
    groups = [{"params": matrices, "weight_decay": settings.decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, settings.rate, _BETAS, fused=True)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}
