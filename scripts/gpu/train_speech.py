"""python -m scripts.gpu.train_speech: train backbone and heads of a job on a GPU, some minutes a call.

Corpus and codec come first (scripts.gpu.train_codec makes both); the corpus is turned into codes if it is not yet. Each
call goes on where the one before it ended, leaves a folder that the worker can serve, and prints what was measured.
"""

import sys
import time
from collections.abc import Sequence

from scripts.gpu.training import parse, table
from tts_worker.forge.codes import make_codes
from tts_worker.forge.examine import EVALUATIONS
from tts_worker.forge.job import JobError
from tts_worker.forge.speech import speech_folder, train_speech
from tts_worker.forge.speech_job import read_voice_job

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


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point. What prevents it is a line on stderr and exit code 1."""
    begun = time.monotonic()
    try:
        chosen = parse("train_speech", __doc__ or "", "micro_gpu_speech.toml", arguments)
        job = read_voice_job(chosen.job, chosen.folder)
        make_codes(job, chosen.device)
        left = chosen.minutes - (time.monotonic() - begun) / 60
        if left > 0:
            train_speech(job, left, chosen.device)
    except JobError as error:
        sys.exit(str(error))
    print(table(speech_folder(job) / EVALUATIONS, _COLUMNS))


if __name__ == "__main__":
    main()
