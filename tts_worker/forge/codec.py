"""Train the codec. Every step follows from the seed and the state before it, so a run that was killed and goes on
gives the weights of one that was not (with one number of threads; other numbers add in another order)."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from tts_worker.forge.adversary import Adversary
from tts_worker.forge.batches import Batch, Crops
from tts_worker.forge.corpus import corpus_folder
from tts_worker.forge.job import CodecJob, Job, JobError
from tts_worker.forge.losses import Spectra
from tts_worker.forge.nets import CodecNets
from tts_worker.forge.quantise import Treatment, follow
from tts_worker.forge.run import Notes, asked_to_stop
from tts_worker.forge.store import read_corpus
from tts_worker.forge.teacher import phones
from tts_worker.forge.weights import write_codec

STATE, LOG, WEIGHTS = "state.pt", "log.jsonl", "codec.safetensors"
_BETAS = (0.8, 0.99)


def codec_folder(job: Job) -> Path:
    """Where state, log and evaluations are."""
    return job.folder / "codec"


class CodecTraining:
    """A run: networks, optimiser, and how far it is."""

    def __init__(self, job: Job, device: str) -> None:
        """Raises JobError."""
        self.job, self.settings, self.model = job, job.codec, job.model()
        self.config = config = self.model.codec
        self.device = torch.device(device)
        torch.manual_seed(job.seed)
        self.phones = phones()
        self.nets = CodecNets(config, len(self.phones), self.settings.slots, self.settings.branches).to(self.device)
        self.spectra = Spectra(config.sampling_rate).to(self.device)
        self.optimiser = torch.optim.AdamW(
            self.nets.parameters(), self.settings.rate, _BETAS, weight_decay=0.0, fused=True
        )
        self.adversary = Adversary(self.settings).to(self.device)
        self.step = 0
        self.seconds = 0.0
        """Spent on the steps so far."""

    def advance(self, batch: Batch) -> dict[str, float]:
        """One step; the losses before it."""
        settings, random = self.settings, np.random.default_rng([self.job.seed, self.step, 1])
        for group in self.optimiser.param_groups:
            group["lr"] = rate(settings, self.step)
        samples, sounds = batch.samples.to(self.device), batch.sounds.to(self.device)
        treatment = Treatment.drawn(random, len(samples)).to(self.device)
        shape = (*sounds.shape[:2], self.config.acoustic_dim)
        noise = torch.from_numpy(random.uniform(-1, 1, shape).astype(np.float32)).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=settings.bfloat16):
            made, middle = self.nets(samples, treatment, noise)
            scores = self.nets.read(middle.semantic)
            judged, values = self._judged(made.float(), samples)
        distance = self.spectra(made.float(), samples)
        reading = told(scores.float(), sounds)
        loss = (
            settings.wave * settings.wave_decay**self.step * distance.wave
            + settings.spectrum * distance.spectrum
            + settings.mel * distance.mel
            + settings.commitment * middle.commitment
            + settings.excess * middle.excess
            + settings.sounds * reading
            + judged
        )
        self.optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.nets.parameters(), settings.clip)
        self.optimiser.step()
        quantiser = self.nets.decoder.quantiser
        revived = follow(quantiser, middle.vectors, middle.nearest, settings.table_decay, settings.table_least, random)
        self.step += 1
        values |= {
            "wave": distance.wave, "spectrum": distance.spectrum, "mel": distance.mel, "commitment": middle.commitment,
            "excess": middle.excess, "sounds": reading, "gradient": norm, "used": _perplexity(quantiser.cluster_usage),
        }  # fmt: skip
        return {name: float(value.detach()) for name, value in values.items()} | {"revived": float(revived)}

    def _judged(self, made: Tensor, true: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """What the discriminators add to the loss, once there are any; they learn from the same speech first."""
        settings = self.settings
        if settings.adversary_from is None or self.step < settings.adversary_from:
            return made.new_zeros(()), {}
        learned = self.adversary.learn(made, true)
        opinion = self.adversary.opinion(made, true)
        loss = settings.features * opinion.features + settings.fooling * opinion.fooled
        return loss, {"features": opinion.features, "discriminator": torch.tensor(learned)}

    def save(self, path: Path) -> None:
        """Everything that the next step depends on; the old file stays until the new one is complete."""
        temporary = path.with_suffix(".tmp")
        torch.save(
            {
                "step": self.step,
                "seconds": self.seconds,
                "nets": self.nets.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "adversary": self.adversary.saved(),
            },
            temporary,
        )
        temporary.replace(path)

    def restore(self, path: Path) -> None:
        """Go on from a file. Raises JobError for one of other sizes."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        try:
            self.nets.load_state_dict(state["nets"])
            if (adversary := state.get("adversary")) is not None:
                self.adversary.restore(adversary)
        except RuntimeError as error:
            raise JobError(f"{path} is of a codec of other sizes: {error}") from None
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]


def told(scores: Tensor, sounds: Tensor) -> Tensor:
    """Cross-entropy of scores [B, T, slots, phones] against sounds [B, T, slots] where they are known."""
    if not bool((sounds >= 0).any()):
        return scores.new_zeros(())
    return functional.cross_entropy(scores.flatten(0, 2), sounds.flatten(), ignore_index=-1)


def rate(settings: CodecJob, step: int) -> float:
    """Of learning at a step: up over the first steps, level, and down to nothing over the last."""
    falling = max(1.0, settings.cool_down * settings.steps)
    share = min(1.0, (step + 1) / (settings.warm_up + 1), (settings.steps - step) / falling)
    return settings.rate * share


def _perplexity(usage: Tensor) -> Tensor:
    """Entries of the table, each counted by how much it is used."""
    share = usage / usage.sum()
    return torch.exp(-(share * share.clamp(min=1e-12).log()).sum())


def train_codec(job: Job, minutes: float | None = None, device: str = "cpu") -> None:
    """All steps of a job, or as many as can be made in `minutes`; from where the folder's state is. Raises JobError."""
    torch.set_num_threads(job.codec.threads)
    torch.set_float32_matmul_precision("high")
    folder = codec_folder(job)
    folder.mkdir(parents=True, exist_ok=True)
    training = CodecTraining(job, device)
    if (folder / STATE).exists():
        training.restore(folder / STATE)
    crops = crops_of(job, training)
    end = time.monotonic() + 60 * minutes if minutes else float("inf")
    with asked_to_stop() as asked:
        _run(training, crops, folder, lambda: asked() or time.monotonic() > end)
    training.save(folder / STATE)
    write_codec(training.nets, training.model, folder / WEIGHTS)


def crops_of(job: Job, training: CodecTraining) -> Crops:
    """Batches from everything that is not held out. Raises JobError."""
    clips = [clip for clip in read_corpus(corpus_folder(job)) if not clip.line.held_out]
    return Crops(clips, training.phones, job.seed, training.config.frame, job.codec.slots)


def _run(training: CodecTraining, crops: Crops, folder: Path, enough: Callable[[], bool]) -> None:
    from tts_worker.forge.listen import evaluate  # loads a recogniser

    settings = training.settings
    notes = Notes(folder / LOG, training.step)
    with tqdm(total=settings.steps, initial=training.step, desc="codec", unit="step", mininterval=10) as bar:
        while training.step < settings.steps and not enough():
            begun = time.monotonic()
            values = training.advance(crops.batch(training.step, settings.batch, settings.frames))
            training.seconds += time.monotonic() - begun
            notes.add(training.step, training.seconds, values)
            bar.update()
            bar.set_postfix({name: f"{values[name]:.3f}" for name in ("mel", "spectrum", "sounds")}, refresh=False)
            last = training.step == settings.steps
            if training.step % settings.save_every == 0 or last:
                training.save(folder / STATE)
            if training.step % settings.evaluate_every == 0 or last:
                evaluate(training)
