"""python -m scripts.gpu.train_codec: train the codec of a job on a GPU, some minutes a call.

The corpus is made first if it is not there (on the processor; a call may end while it is being made). Each call goes on
where the one before it ended, and prints how well held-out speech is understood after the codec.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from tts_worker.forge.codec import codec_folder, train_codec
from tts_worker.forge.corpus import corpus_complete, make_corpus
from tts_worker.forge.job import Job, JobError, read_job
from tts_worker.forge.listen import EVALUATIONS

_SHIPPED = Path(__file__).parent.parent.parent / "tts_worker" / "forge" / "jobs" / "micro_gpu.toml"
_COLUMNS = {
    "step": "step",
    "word_error": "word error",
    "word_error_original": "of the original",
    "word_error_phone": "over the phone",
    "word_error_phone_original": "of the original",
    "mel": "mel distance",
    "semantic_used": "entries used",
    "sounds_told": "sounds told",
}


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.gpu.train_codec", description=__doc__)
    parser.add_argument("job", nargs="?", type=Path, default=_SHIPPED, help=f"default: {_SHIPPED.name}")
    parser.add_argument("--folder", type=Path, help="where what is made goes, instead of where the job says")
    parser.add_argument("--minutes", type=float, default=8.0, help="that a call takes, corpus included (default 8)")
    parser.add_argument("--device", default="cuda", help="default cuda; cpu to try the script")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point. What prevents it is a line on stderr and exit code 1."""
    chosen = parse(arguments)
    begun = time.monotonic()
    try:
        job = _for_this_machine(read_job(chosen.job, chosen.folder), chosen.device)
        if not corpus_complete(job):
            make_corpus(job)
        left = chosen.minutes - (time.monotonic() - begun) / 60
        if left > 0:
            train_codec(job, left, chosen.device)
    except JobError as error:
        sys.exit(str(error))
    print(table(job))


def _for_this_machine(job: Job, device: str) -> Job:
    """Every core makes the corpus; a GPU that is not there is said before it is made."""
    if device == "cuda" and not torch.cuda.is_available():
        raise JobError("this machine has no GPU that torch can use; --device cpu tries the script without one")
    corpus = job.corpus.model_copy(update={"processes": os.cpu_count() or 1})
    return job.model_copy(update={"corpus": corpus})


def table(job: Job) -> str:
    """Every evaluation so far, a line each."""
    path = codec_folder(job) / EVALUATIONS
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    rows = [list(_COLUMNS.values()), *([str(line.get(name, "–")) for name in _COLUMNS] for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)


if __name__ == "__main__":
    main()
