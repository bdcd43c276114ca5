"""PURE: a recording that lends its voice to a stream, checked before an engine sees it. It is never logged."""

from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from services.errors import InvalidRequest
from tts_worker.engine import SAMPLE_RATE, Sound
from tts_worker.sound import WINDOW

SHORTEST, LONGEST = 1, 30
"""Seconds. The family's paper uses 3 to 25; below one there is no voice to hear."""
_AUDIBLE = 10 ** (-50 / 20)
_LEAST_AUDIBLE = 0.5
_FIELD = "open.reference_audio"
_VALID = f"valid: PCM_S16LE at {SAMPLE_RATE}, mono, {SHORTEST} to {LONGEST} s"


@dataclass(frozen=True)
class Clip:
    """A usable one."""

    sound: Sound = field(compare=False, repr=False)
    """[samples] at `SAMPLE_RATE`, -1 to 1; cannot be written to."""
    key: str
    """Hash of the bytes: what is computed of a clip can be kept under it."""


def clip_of(data: bytes) -> Clip:
    """The clip that came as bytes. Raises InvalidRequest, saying what is valid."""
    if len(data) % 2:
        raise InvalidRequest(_FIELD, f"{len(data)} bytes are no whole samples; {_VALID}")
    samples = len(data) // 2
    if not SHORTEST * SAMPLE_RATE <= samples <= LONGEST * SAMPLE_RATE:
        raise InvalidRequest(_FIELD, f"{samples} samples; {_VALID}")
    sound: Sound = np.frombuffer(data, "<i2").astype(np.float32) * np.float32(2**-15)
    if (audible := _audible_seconds(sound)) < _LEAST_AUDIBLE:
        problem = f"{audible:.2f} s of it are louder than -50 dBFS; valid: at least {_LEAST_AUDIBLE:g} s of speech"
        raise InvalidRequest(_FIELD, problem)
    sound.setflags(write=False)
    return Clip(sound, blake2b(data, digest_size=8).hexdigest())


def _audible_seconds(sound: Sound) -> float:
    """Windows of 10 ms whose level, a constant offset left out, says that something sounds."""
    windows = (sound - sound.mean())[: len(sound) // WINDOW * WINDOW].reshape(-1, WINDOW)
    levels = np.sqrt(np.square(windows).mean(axis=1))
    return float(np.count_nonzero(levels >= _AUDIBLE) * WINDOW / SAMPLE_RATE)
