"""python -m scripts.speech_training JOB: how fast one thread of this processor trains backbone and heads.

Takes a few steps of the job from random weights, in float32 and with products in bfloat16, and keeps nothing. The job's
corpus must be there in codes. Processor time is what counts where other work runs at the same time.
"""

import argparse
import sys
import time
from pathlib import Path

import torch

from tts_worker.forge.examples import Draws
from tts_worker.forge.job import JobError
from tts_worker.forge.speech import SpeechTraining, corpus_examples, draws_of
from tts_worker.forge.speech_job import VoiceJob, read_voice_job

_HOURS = 80
_SECONDS_PER_FRAME = 0.08
_HEAD = (
    "| | frames of positions a step | seconds a step of processor (of clock) | positions/s | frames/s | × real time "
    f"| core hours for {_HOURS} hours of speech |"
)


def measure(job: VoiceJob, draws: Draws, steps: int) -> str:
    """A line of the table."""
    training, settings = SpeechTraining(job, "cpu"), job.speech
    training.advance(draws.batch(0, settings.positions, settings.silence))  # buffers are made once
    positions, frames = 0, training.frames
    begun, wall = time.process_time(), time.monotonic()
    for step in range(1, steps + 1):
        batch = draws.batch(step, settings.positions, settings.silence)
        positions += batch.tokens.numel()
        training.advance(batch)
    spent, passed, learned = time.process_time() - begun, time.monotonic() - wall, training.frames - frames
    name = "bfloat16" if settings.bfloat16 else "float32"
    hours = _HOURS / (learned * _SECONDS_PER_FRAME / spent)
    return (
        f"| {name} | {learned / steps:.0f} of {positions / steps:.0f} | {spent / steps:.2f} ({passed / steps:.2f}) | "
        f"{positions / spent:.0f} | {learned / spent:.0f} | {learned * _SECONDS_PER_FRAME / spent:.1f} | {hours:.1f} |"
    )


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m scripts.speech_training", description=__doc__)
    parser.add_argument("job", type=Path)
    parser.add_argument("--folder", type=Path, help="where the codes are, instead of where the job says")
    parser.add_argument("--steps", type=int, default=8, help="that are timed (default 8)")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    try:
        job = read_voice_job(chosen.job, chosen.folder)
        draws = draws_of(job, corpus_examples(job))
        print(_HEAD)
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for bfloat16 in (False, True):
            speech = job.speech.model_copy(update={"bfloat16": bfloat16})
            print(measure(job.model_copy(update={"speech": speech}), draws, chosen.steps), flush=True)
    except JobError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
