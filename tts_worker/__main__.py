"""python -m tts_worker: serve, or try the voice from the command line."""

import argparse
from functools import partial
from pathlib import Path

from services.server import run
from tts_worker import build, listen, say
from tts_worker.settings import TtsSettings
from tts_worker.sound import RATES


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tts_worker",
        description="Speech service: gRPC TextToSpeech with health, reflection and Prometheus numbers.",
        epilog=TtsSettings.describe(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="command")
    commands.add_parser("serve", help="serve until SIGTERM; the default")
    one = commands.add_parser("say", help="speak a text into a WAV file")
    one.add_argument("text", help="1 to 2000 characters")
    one.add_argument("output", type=Path, help="WAV file to write")
    one.add_argument("--rate", type=int, choices=RATES, default=24_000, help="samples per second (default 24000)")
    one.add_argument("--speed", type=float, default=1.0, help="0.5 to 2 (default 1)")
    one.add_argument("--seed", type=int, default=0, help="the same seed gives the same sound (default 0)")
    one.add_argument("--voice", default="", help="one that `voices` lists (default: the first)")
    one.add_argument("--language", default="", help="how numbers and dates are read (default: the voice's first)")
    one.add_argument("--reference", type=Path, help="WAV file whose voice it takes, with --language; 1 to 30 s, 16 bit")
    commands.add_parser("voices", help="list the voices")
    _add_seams(commands.add_parser("seams", help="look at the joins between phrases, pieces and workers"))
    look = commands.add_parser("inspect", help="tensors and totals of a flow-matching model, without loading it")
    look.add_argument("path", nargs="?", type=Path, help="checkpoint, or the folder that holds it and params.json")
    look.add_argument("--config", help="instead: a params.json, or a shipped one (4b, micro, nano)")
    return parser.parse_args()


def _add_seams(parser: argparse.ArgumentParser) -> None:
    parser.description = "Exit code 1 when a join can be heard, 2 when that could not be tried."
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("phrases", nargs="*", default=[], help="spoken in one stream of the engine that is set")
    what.add_argument("--wav", type=Path, help="instead: a recording, 16 bit PCM")
    parser.add_argument(
        "--at", nargs="+", type=float, default=[], metavar="SECONDS", help="with --wav: where its joins are"
    )
    parser.add_argument(
        "--resume", action="store_true", help="let another worker go on in the middle of each phrase, too"
    )
    parser.add_argument("--rate", type=int, choices=RATES, default=24_000, help="samples per second (default 24000)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same sound (default 0)")
    parser.add_argument("--voice", default="", help="one that `voices` lists (default: the first)")
    parser.add_argument("--language", default="", help="how numbers and dates are read (default: the voice's first)")


def main() -> None:
    """Entry point."""
    arguments = parse()
    settings = TtsSettings.read_or_exit()
    match arguments.command:
        case "say":
            wish = {name: value for name, value in vars(arguments).items() if name != "command"}
            say.say(settings, say.Wish(**wish))
        case "voices":
            say.voices(settings)
        case "seams" if arguments.wav:
            listen.try_recording(arguments.wav, arguments.at)
        case "seams":
            wish = {name: value for name, value in vars(arguments).items() if name not in ("command", "wav", "at")}
            listen.try_engine(partial(build.studio, settings), listen.Trial(**wish))
        case "inspect":
            from tts_worker import inspection  # needs torch, which serving the packaged voice does not

            inspection.show(arguments.path, arguments.config)
        case _:
            run(settings, partial(build.service, settings))


if __name__ == "__main__":
    main()
