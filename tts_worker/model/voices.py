"""Reference voices: files of rows that take the places of the audio tokens in a prompt."""

from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

_REGIONS = {
    "en": ("en-US", "en-GB"), "fr": ("fr-FR",), "de": ("de-DE",), "es": ("es-ES",), "nl": ("nl-NL",),
    "pt": ("pt-PT", "pt-BR"), "it": ("it-IT",), "hi": ("hi-IN",), "ar": ("ar",),
}  # fmt: skip
"""Languages of the family."""


class VoiceError(Exception):
    """A voice file cannot be used; says which and why."""


def read_voices(folder: Path, dim: int, expected: dict[str, int]) -> dict[str, Tensor]:
    """`<name>.pt` of a folder, each [N, dim], by name, in the order of the names. Raises VoiceError.

    `expected`: rows that the vocabulary says a voice has; those it does not name may have any number.
    """
    voices = {path.stem: _read(path, dim) for path in sorted(folder.glob("*.pt"))}
    if not voices:
        raise VoiceError(f"{folder}: holds no voice (*.pt)")
    for name, rows in voices.items():
        if (count := expected.get(name, len(rows))) != len(rows):
            raise VoiceError(f"{folder / name}.pt: has {len(rows)} rows; the vocabulary says {count}")
    return voices


def languages(voice: str) -> tuple[str, ...]:
    """By the published names: `fr_male` speaks French, `casual_male` English."""
    return _REGIONS.get(voice.split("_")[0], _REGIONS["en"])


def write_voice(folder: Path, name: str, rows: Tensor) -> None:
    """Keep a voice for `read_voices`, as the published ones are kept."""
    torch.save(rows.detach().to("cpu", torch.bfloat16).clone(), folder / f"{name}.pt")


def _read(path: Path, dim: int) -> Tensor:
    try:
        rows = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, UnpicklingError, EOFError) as error:
        raise VoiceError(f"{path}: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from None
    if not isinstance(rows, Tensor) or rows.ndim != 2 or rows.shape[1] != dim:
        shape = list(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
        raise VoiceError(f"{path}: is {shape}; valid: a tensor [frames, {dim}]")
    if not bool(torch.isfinite(rows).all()):
        raise VoiceError(f"{path}: holds numbers that are not finite")
    return rows
