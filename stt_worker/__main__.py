"""python -m stt_worker: serve, or transcribe a recording from the command line."""

import argparse
from functools import partial
from pathlib import Path

from services.server import run
from stt_worker import build
from stt_worker.config import SttSettings
from stt_worker.transcribe import transcribe


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m stt_worker",
        description="Recogniser: gRPC SpeechToText with health, reflection and Prometheus numbers.",
        epilog=SttSettings.describe(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="command")
    commands.add_parser("serve", help="serve until SIGTERM; the default")
    one = commands.add_parser("transcribe", help="print the words of a WAV file")
    one.add_argument("input", type=Path, help="WAV file, 16 bit, 8000 to 48000 Hz; of several channels the first")
    one.add_argument("--hints", default="", help="names and words that may occur, separated by commas")
    one.add_argument("--words", action="store_true", help="a line a word: seconds from, to, confidence, word")
    return parser.parse_args()


def main() -> None:
    """Entry point."""
    arguments = parse()
    settings = SttSettings.read_or_exit()
    if arguments.command == "transcribe":
        hints = tuple(hint.strip() for hint in arguments.hints.split(",") if hint.strip())
        transcribe(settings, arguments.input, hints, arguments.words)
    else:
        run(settings, partial(build.service, settings))


if __name__ == "__main__":
    main()
