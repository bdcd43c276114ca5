"""Pictures of a run: curves of its losses, and spectrograms side by side."""

import json
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from tts_worker.engine import SAMPLE_RATE, Sound
from tts_worker.forge.losses import log_mel, magnitudes, mel_bands

_WINDOW, _BANDS = 1024, 80


def curves(notes: Path, names: list[str], picture: Path) -> None:
    """One panel for each of `names` that a file of JSON lines with `step` has."""
    lines = [json.loads(line) for line in notes.read_text(encoding="utf-8").splitlines()]
    known = [name for name in names if any(name in line for line in lines)]
    if not known:
        return
    rows = -(-len(known) // 3)
    figure = Figure(figsize=(12, 2.6 * rows), layout="constrained")
    for index, name in enumerate(known):
        axes = figure.add_subplot(rows, 3, index + 1)
        points = [(line["step"], line[name]) for line in lines if name in line]
        axes.plot(*zip(*points, strict=True), linewidth=0.8, marker="." if len(points) < 40 else "")
        axes.set_title(name, fontsize=9)
        axes.grid(alpha=0.3)
    figure.savefig(picture, dpi=90)


def spectrograms(sounds: dict[str, Sound], picture: Path) -> None:
    """One under the other, all with the same colours."""
    bands = mel_bands(_BANDS, _WINDOW, SAMPLE_RATE)
    window = torch.hann_window(_WINDOW)
    images = [log_mel(magnitudes(torch.from_numpy(s)[None], window), bands)[0].numpy() for s in sounds.values()]
    low, high = min(float(i.min()) for i in images), max(float(i.max()) for i in images)
    figure = Figure(figsize=(10, 2.4 * len(images)), layout="constrained")
    for index, (name, image) in enumerate(zip(sounds, images, strict=True)):
        axes = figure.add_subplot(len(images), 1, index + 1)
        seconds = image.shape[1] * _WINDOW / 4 / SAMPLE_RATE
        axes.imshow(np.flipud(image), aspect="auto", vmin=low, vmax=high, cmap="magma", extent=(0, seconds, 0, _BANDS))
        axes.set_title(name, fontsize=9)
        axes.set_ylabel("mel band")
    figure.savefig(picture, dpi=90)
