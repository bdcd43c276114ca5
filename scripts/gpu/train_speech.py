"""python -m scripts.gpu.train_speech: train backbone and heads of a job on a GPU, some minutes a call.

Corpus and codec come first (scripts.gpu.train_codec makes both); the corpus is turned into codes if it is not yet. Each
call goes on where the one before it ended, leaves a folder that the worker can serve, and prints what was measured.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from tts_worker.forge.codes import make_codes
from tts_worker.forge.examine import EVALUATIONS
from tts_worker.forge.job import JobError
from tts_worker.forge.speech import speech_folder, train_speech
from tts_worker.forge.speech_job import VoiceJob, read_voice_job

_SHIPPED = Path(__file__).parent.parent.parent / "tts_worker" / "forge" / "jobs" / "micro_gpu_speech.toml"
_COLUMNS = {
    "step": "step",
    "word_error": "word error",
    "word_error_original": "of the teacher",
    "word_error_phone": "over the phone",
    "word_error_phone_original": "of the teacher",
    "right": "codes told",
    "flow": "flow loss",
    "end_recall": "ends told",
    "length": "length",
    "ended": "ended",
}


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.gpu.train_speech", description=__doc__)
    parser.add_argument("job", nargs="?", type=Path, default=_SHIPPED, help=f"default: {_SHIPPED.name}")
    parser.add_argument("--folder", type=Path, help="where what is made goes, instead of where the job says")
    parser.add_argument("--minutes", type=float, default=8.0, help="that a call trains, codes included (default 8)")
    parser.add_argument("--device", default="cuda", help="default cuda; cpu to try the script")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point. What prevents it is a line on stderr and exit code 1."""
    chosen = parse(arguments)
    begun = time.monotonic()
    try:
        if chosen.device == "cuda" and not torch.cuda.is_available():
            raise JobError("this machine has no GPU that torch can use; --device cpu tries the script without one")
        job = read_voice_job(chosen.job, chosen.folder)
        make_codes(job, chosen.device)
        left = chosen.minutes - (time.monotonic() - begun) / 60
        if left > 0:
            train_speech(job, left, chosen.device)
    except JobError as error:
        sys.exit(str(error))
    print(table(job))


def table(job: VoiceJob) -> str:
    """Every evaluation so far, a line each."""
    path = speech_folder(job) / EVALUATIONS
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    rows = [list(_COLUMNS.values()), *([str(line.get(name, "–")) for name in _COLUMNS] for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)


if __name__ == "__main__":
    main()
