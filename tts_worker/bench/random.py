"""A model without training that speaks for as long as one wants: what is measured does not depend on what is said."""

from dataclasses import dataclass
from functools import lru_cache

import torch

from tts_worker.model.config import END, Config, ConfigError, shipped_config
from tts_worker.model.files import ModelFiles
from tts_worker.model.network import Voxtral, build, fold, randomise
from tts_worker.model.precision import Precision, apply
from tts_worker.model.tokenizer import Bytes

VOICE = "neutral_bench"
CHARACTERS, SECONDS, VOICE_SECONDS = 500, 37.0, 10.0
"""The setting of the figures that the family's makers publish."""
_LARGE_VOCABULARY = 100_000
_CHARACTERS_PER_TOKEN = 4
_TEXT = (
    "Good morning, and thank you for calling the practice. The doctor has two free appointments left this week, one on "
    "Thursday in the morning and one on Friday after lunch, and I can book either of them for you right away. If you "
    "would rather see the nurse, she is here every day except Wednesday. Please bring your insurance card and the "
    "letter from the hospital with you, and come a few minutes early, since there is a form to be filled in when you "
    "visit us for the first time. Is there anything else you need?"
)


class Plain(Bytes):
    """Any text as a number of tokens that is right for the size of the vocabulary: bytes, or as long as those of a
    large vocabulary are in English."""

    def __init__(self, vocabulary: int) -> None:
        if vocabulary < Bytes.size:
            raise ConfigError(f"vocab_size: {vocabulary}; the benchmark needs {Bytes.size}")
        self._every = _CHARACTERS_PER_TOKEN if vocabulary >= _LARGE_VOCABULARY else 1

    def encode(self, text: str) -> list[int]:
        """Every so many bytes are one token."""
        return super().encode(text)[:: self._every]


@dataclass(frozen=True)
class RandomModel:
    """In place of a folder. See `tts_worker.model.files.Source`."""

    size: str
    """Name of a shipped configuration."""
    device: str
    precision: Precision
    """On a processor of the products, on a GPU of everything."""

    @property
    def dtype(self) -> torch.dtype:
        """Of what is computed."""
        return torch.bfloat16 if self.precision == "bfloat16" and self.device != "cpu" else torch.float32

    @property
    def config(self) -> Config:
        """Of the model."""
        return shipped_config(self.size)

    @property
    def name(self) -> str:
        """Of the model."""
        return f"{self.size}-random"

    @property
    def voice_names(self) -> list[str]:
        """One of ten seconds."""
        return [VOICE]

    @property
    def bytes_per_number(self) -> int:
        """Of what is computed."""
        return self.dtype.itemsize

    def load(self, length: int) -> ModelFiles:
        """Random weights with which no phrase finds an end."""
        config = self.config
        rows = torch.randn(round(VOICE_SECONDS / config.frame_seconds), config.dim).to(self.dtype)
        return ModelFiles(_model(self, length), Plain(config.vocab_size), {VOICE: rows})


@lru_cache(1)
def _model(of: RandomModel, length: int) -> Voxtral:
    """Kept for the next number of streams: to make one takes a while."""
    model = build(of.config, length, encoder=False, dtype=of.dtype, device=of.device)
    with torch.inference_mode():
        randomise(model, seed=0)
        model.heads.no_code[END] = True
        fold(model)
        if of.device == "cpu":
            apply(model, of.precision)
    return model


def text(characters: int) -> str:
    """English of that length."""
    return (_TEXT * (characters // len(_TEXT) + 1))[:characters]
