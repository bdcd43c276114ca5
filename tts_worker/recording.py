"""WAV files that the command line is given."""

import wave
from pathlib import Path

import numpy as np
import soxr

from tts_worker.engine import SAMPLE_RATE, Sound
from tts_worker.sound import Encoding, encode


class RecordingError(Exception):
    """A file cannot be used; says which and why."""


def read(path: Path) -> tuple[Sound, int]:
    """First channel [samples], -1 to 1, and samples per second. Raises RecordingError."""
    try:
        with path.open("rb") as source, wave.open(source) as file:
            if file.getsampwidth() != 2:
                raise RecordingError(f"{path}: {8 * file.getsampwidth()} bits a sample; valid: 16")
            pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
            return np.asarray(pcm[:, 0] / 32768, np.float32), file.getframerate()
    except OSError as error:
        raise RecordingError(f"cannot read {path}: {error.strerror}") from None
    except (wave.Error, EOFError, ValueError) as error:
        raise RecordingError(f"{path} is no WAV file of 16 bit PCM: {error}") from None


def clip_bytes(path: Path) -> bytes:
    """As `open.reference_audio` wants it. Raises RecordingError."""
    samples, rate = read(path)
    return encode(soxr.resample(samples, rate, SAMPLE_RATE, quality="HQ"), SAMPLE_RATE, Encoding.PCM_S16LE)
