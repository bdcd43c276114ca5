"""An engine in front of a small model with random weights, whose phrases end where a test wants it."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch

from tests.tts_worker.model.support import NANO, model
from tts_worker.engine import Piece, Utterance
from tts_worker.model.checkpoint import export
from tts_worker.model.config import END
from tts_worker.model.files import Files
from tts_worker.model.voices import write_voice
from tts_worker.pieces import Frames
from tts_worker.room import Room
from tts_worker.runner import Made
from tts_worker.speaking import Speaking
from tts_worker.tuning import Tuning, tuned
from tts_worker.voxtral import VoxtralEngine

TEXT = "Good morning, this is the practice."
POSITIONS = 320
ENDS_AFTER = 20
"""Frames of a phrase of the engines here: random weights would find an end when they please."""


def write_model(folder: Path, encoder: bool = False) -> Path:
    """A small model with random weights and two voices, as it would be published."""
    params = resources.files("tts_worker.model").joinpath("configs", "nano.json").read_text("utf-8")
    (folder / "params.json").write_text(params, encoding="utf-8")
    made = model()
    if not encoder:
        made.encoder = None
    with torch.no_grad():
        made.heads.semantic.weight[END] = 0  # by itself it finds no end
    export(made, folder / "consolidated.safetensors", torch.float32)
    (folder / "voice_embedding").mkdir()
    for seed, name in enumerate(("fr_anna", "neutral_bert")):
        rows = torch.randn(5, NANO.dim, generator=torch.Generator().manual_seed(seed))
        write_voice(folder / "voice_embedding", name, rows)
    return folder


@dataclass(frozen=True)
class Ending:
    """What a step has made, with ends put in where they are wanted."""

    made: Made
    numbers: list[int]
    ends_after: int

    def take(self) -> tuple[Frames, list[bool]]:
        frames, finite = self.made.take()
        frames[[number >= self.ends_after for number in self.numbers], 0] = END
        return frames, finite


def loaded(folder: Path, slots: int = 3, ends_after: int = ENDS_AFTER, tuning: Tuning | None = None) -> VoxtralEngine:
    """Its phrases end after that many frames."""
    room = Room(slots * Room(0, POSITIONS).of_one(NANO, 4), POSITIONS)
    made = VoxtralEngine(Files(folder, torch.float32, "cpu"), room, (lambda *_: tuning) if tuning else tuned)
    made.load()
    runner = made._runner
    assert runner is not None
    step = runner.step

    def ending(active: list[int]) -> Ending:
        numbers = runner._streams.number[active].tolist()
        return Ending(step(active), numbers, ends_after)

    runner.step = ending  # type: ignore[method-assign,assignment]
    return made


def utterance(text: str = TEXT, voice: str = "neutral_bert", seed: int = 3, **more: object) -> Utterance:
    return Utterance(text, voice, seed, **more)  # type: ignore[arg-type]


def speak(engine: VoxtralEngine, speech: Speaking) -> list[Piece]:
    pieces: list[Piece] = []
    while not (pieces and pieces[-1].last):
        (piece,) = engine.step([speech])
        assert not isinstance(piece, Exception)
        pieces += [piece] if piece else []
    return pieces


def sound(pieces: list[Piece]) -> np.ndarray:
    return np.concatenate([piece.samples for piece in pieces])
