"""What `make call` took, each figure beside its bound."""

import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from loadtest.report import Figure
from loadtest.verdict import WORD_ERROR_LIMIT

GIGABYTE = 10**9
MEMORY_GB = 3.0
DISK_GB = 3.0
SECONDS = 150.0


def resources(memory: int, disk: int) -> tuple[Figure, ...]:
    """Bytes of memory and of disk: more than this is as wrong as a wrong booking."""
    return (
        Figure("memory of all processes together", memory / GIGABYTE, "GB", at_most=MEMORY_GB),
        Figure("disk that the set-up takes", disk / GIGABYTE, "GB", at_most=DISK_GB),
    )


def accuracy(word_error: float) -> Figure:
    """Of what the caller heard, recognised, against what was said."""
    return Figure("word error of what the caller heard", word_error * 100, "%", at_most=WORD_ERROR_LIMIT * 100)


def duration(seconds: float) -> Figure:
    """From start to verdict, but for the second in which Python loads. A slow machine is told so, and no more."""
    return Figure("time of all of it", seconds, "s", at_most=SECONDS)


def show(console: Console, figure: Figure) -> None:
    """One line."""
    over = "" if figure.passed else "   [yellow]over its bound[/]"
    console.print(f"{figure.name.capitalize()}: {figure.shown} ({figure.target}){over}", highlight=False)


def exceeded(figures: Sequence[Figure]) -> list[str]:
    """A complaint for each figure that is over its bound, or could not be measured."""
    return [f"{figure.name}: {figure.shown}, {figure.target} allowed" for figure in figures if not figure.passed]


def disk_bytes(folder: Path) -> int:
    """What a folder takes on the disk: blocks, each file once however many names it has."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            try:
                status = os.lstat(os.path.join(place, name))
            except FileNotFoundError:  # byte code that another process is just writing
                continue
            if (key := (status.st_dev, status.st_ino)) not in seen:
                seen.add(key)
                total += status.st_blocks * 512
    return total
