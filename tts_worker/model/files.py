"""A model's folder, as published: params.json, consolidated.safetensors, tekken.json, voice_embedding/*.pt."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from zlib import crc32

import torch
from torch import Tensor

from tts_worker.engine import EngineError
from tts_worker.model.checkpoint import CheckpointError, load
from tts_worker.model.config import Config, ConfigError, load_config
from tts_worker.model.network import Voxtral, fold
from tts_worker.model.precision import Precision, apply
from tts_worker.model.tokenizer import Bytes, Tekken, Tokenizer, TokenizerError
from tts_worker.model.voices import VoiceError, read_voices

PARAMS, CHECKPOINT, VOCABULARY, VOICES = "params.json", "consolidated.safetensors", "tekken.json", "voice_embedding"
_SAMPLE = 1 << 16


@dataclass(frozen=True)
class ModelFiles:
    """What a folder holds, in memory, the model ready to speak: `network.fold` is done."""

    model: Voxtral
    tokenizer: Tokenizer
    voices: dict[str, Tensor]


class Source(Protocol):
    """Where an engine's model comes from."""

    @property
    def config(self) -> Config:
        """Of the model."""
        ...

    @property
    def name(self) -> str:
        """Of the model: another one for other weights."""
        ...

    @property
    def voice_names(self) -> list[str]:
        """In the order in which they are offered."""
        ...

    @property
    def device(self) -> str:
        """Where the model runs."""
        ...

    @property
    def bytes_per_number(self) -> int:
        """Of what is computed."""
        ...

    def load(self, length: int) -> ModelFiles:
        """Everything, for streams of up to `length` positions. Raises EngineError."""
        ...


class Files:
    """A folder, looked at but not loaded. Raises EngineError with a line for the operator."""

    def __init__(self, folder: Path, dtype: torch.dtype, device: str, packed: Precision | None = None) -> None:
        """`packed`: on a processor, how matrices are kept that are only read (`tts_worker.model.precision`)."""
        self._folder, self._dtype, self.device, self._packed = folder, dtype, device, packed
        try:
            self.config: Config = load_config(folder / PARAMS)
        except ConfigError as error:
            raise EngineError(str(error)) from None
        places = self.config.codec.voice
        names = sorted(path.stem for path in (folder / VOICES).glob("*.pt"))
        self.voice_names = sorted(names, key=lambda name: places.get(name, len(places)))
        """In the order of `params.json`, then those that it does not name."""
        if not self.voice_names:
            raise EngineError(f"{folder / VOICES}: holds no voice (*.pt)")
        self.name = f"{folder.name}-{self._fingerprint():08x}"
        """Of the model: another one for other weights."""

    @property
    def bytes_per_number(self) -> int:
        """Of what is computed."""
        return self._dtype.itemsize

    def load(self, length: int) -> ModelFiles:
        """Everything, for streams of up to `length` positions. Raises EngineError."""
        try:
            tokenizer = self._tokenizer()
            expected = tokenizer.voice_frames if isinstance(tokenizer, Tekken) else {}
            model = load(self._folder / CHECKPOINT, self.config, length, self._dtype, self.device)
            voices = read_voices(self._folder / VOICES, self.config.dim, expected)
        except (CheckpointError, TokenizerError, VoiceError) as error:
            raise EngineError(str(error)) from None
        fold(model)
        if self._packed is not None:
            apply(model, self._packed)
        return ModelFiles(model, tokenizer, voices)

    def _tokenizer(self) -> Tokenizer:
        """Models without a vocabulary read bytes."""
        path = self._folder / VOCABULARY
        tokenizer: Bytes | Tekken = Tekken.read(path) if path.exists() else Bytes()
        if tokenizer.size > self.config.vocab_size:
            raise TokenizerError(f"{path}: {tokenizer.size} tokens; params.json says {self.config.vocab_size}")
        return tokenizer

    def _fingerprint(self) -> int:
        """Of sizes and some of the weights: reading all of them would take seconds."""
        path = self._folder / CHECKPOINT
        try:
            with path.open("rb") as file:
                size = file.seek(0, 2)
                value = crc32(str(size).encode())
                for place in (0, size // 2, max(0, size - _SAMPLE)):
                    file.seek(place)
                    value = crc32(file.read(_SAMPLE), value)
        except OSError as error:
            raise EngineError(f"{path}: {error.strerror}") from None
        return value
