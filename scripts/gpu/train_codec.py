"""python -m scripts.gpu.train_codec: train the codec of a job on a GPU, some minutes a call.

The corpus is made first if it is not there (on the processor; a call may end while it is being made). Each call goes on
where the one before it ended, and prints how well held-out speech is understood after the codec.
"""

import os
import sys
import time
from collections.abc import Sequence

from scripts.gpu.training import parse, table
from tts_worker.forge.codec import codec_folder, train_codec
from tts_worker.forge.corpus import corpus_complete, make_corpus
from tts_worker.forge.job import Job, JobError, read_job
from tts_worker.forge.listen import EVALUATIONS

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


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point. What prevents it is a line on stderr and exit code 1."""
    begun = time.monotonic()
    try:
        chosen = parse("train_codec", __doc__ or "", "micro_gpu.toml", arguments)
        job = _with_all_cores(read_job(chosen.job, chosen.folder))
        if not corpus_complete(job):
            make_corpus(job)
        left = chosen.minutes - (time.monotonic() - begun) / 60
        if left > 0:
            train_codec(job, left, chosen.device)
    except JobError as error:
        sys.exit(str(error))
    print(table(codec_folder(job) / EVALUATIONS, _COLUMNS))


def _with_all_cores(job: Job) -> Job:
    """They make the corpus."""
    return job.model_copy(update={"corpus": job.corpus.model_copy(update={"processes": os.cpu_count() or 1})})


if __name__ == "__main__":
    main()
