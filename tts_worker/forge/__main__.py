"""python -m tts_worker.forge: the steps in which a voice is made."""

import argparse
import sys
from pathlib import Path

from tts_worker.forge.job import JobError
from tts_worker.forge.speech_job import describe, read_voice_job


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tts_worker.forge",
        description="Make a voice, step by step. A job is one TOML file; each step can be stopped at any time and goes "
        "on where it was when it is started again.",
        epilog=describe(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    steps = parser.add_subparsers(dest="step", metavar="step", required=True)
    for name, text in (
        ("corpus", "speak the sentences of the corpus, or take in a folder of recordings"),
        ("codec", "train encoder, decoder and table of the codec on the corpus"),
        ("codes", "turn the corpus into the trained codec's codes, for every later step"),
        ("speech", "train backbone and heads on the codes, and write the folder of a voice that the worker serves"),
        ("listen", "resynthesise held-out speech with the codec as it is, and report how well it is understood"),
    ):
        step = steps.add_parser(name, help=text, description=text)
        step.add_argument(
            "job", type=Path, help="the job's TOML file; a shipped one is tts_worker/forge/jobs/micro.toml"
        )
        step.add_argument("--folder", type=Path, help="where what is made goes, instead of where the job says")
        if name in ("codec", "speech"):
            step.add_argument("--minutes", type=float, help="stop after so long, ready to go on (default: all steps)")
    return parser.parse_args()


def main() -> None:
    """Entry point. What prevents a job is a line on stderr and exit code 1."""
    arguments = parse()
    try:
        job = read_voice_job(arguments.job, arguments.folder)
        match arguments.step:
            case "corpus":
                from tts_worker.forge.corpus import make_corpus  # each step loads only its own libraries

                make_corpus(job)
            case "codec":
                from tts_worker.forge.codec import train_codec

                train_codec(job, arguments.minutes)
            case "codes":
                from tts_worker.forge.codes import make_codes

                make_codes(job)
            case "speech":
                from tts_worker.forge.speech import train_speech

                train_speech(job, arguments.minutes)
            case _:
                from tts_worker.forge.listen import listen

                listen(job)
    except JobError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
