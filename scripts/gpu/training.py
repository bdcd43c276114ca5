"""What the training jobs have in common: their command line, and the table of their evaluations."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from tts_worker.forge.job import JobError

_JOBS = Path(__file__).parent.parent.parent / "tts_worker" / "forge" / "jobs"


def parse(name: str, about: str, job: str, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line of `python -m scripts.gpu.<name>`; `job` is the file that is taken where none is named. Raises
    JobError where the device is not there."""
    parser = argparse.ArgumentParser(prog=f"python -m scripts.gpu.{name}", description=about)
    parser.add_argument("job", nargs="?", type=Path, default=_JOBS / job, help=f"default: {job}")
    parser.add_argument("--folder", type=Path, help="where what is made goes, instead of where the job says")
    parser.add_argument("--minutes", type=float, default=8.0, help="that a call takes (default 8)")
    parser.add_argument("--device", default="cuda", help="default cuda; cpu to try the script")
    given = parser.parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        raise JobError("this machine has no GPU that torch can use; --device cpu tries the script without one")
    return given


def table(evaluations: Path, columns: Mapping[str, str]) -> str:
    """Every evaluation so far, a line each; `columns`: what of it, and what that is called."""
    lines = [json.loads(line) for line in evaluations.read_text("utf-8").splitlines()] if evaluations.exists() else []
    rows = [list(columns.values()), *([str(line.get(name, "–")) for name in columns] for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
