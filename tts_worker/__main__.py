"""python -m tts_worker: serve, or try the voice from the command line."""

import argparse
from functools import partial
from pathlib import Path

from services.server import run
from tts_worker import build, say
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
    commands.add_parser("voices", help="list the voices")
    look = commands.add_parser("inspect", help="tensors and totals of a flow-matching model, without loading it")
    look.add_argument("path", nargs="?", type=Path, help="checkpoint, or the folder that holds it and params.json")
    look.add_argument("--config", help="instead: a params.json, or a shipped one (4b, micro, nano)")
    return parser.parse_args()


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
        case "inspect":
            from tts_worker import inspection  # needs torch, which serving the packaged voice does not

            inspection.show(arguments.path, arguments.config)
        case _:
            run(settings, partial(build.service, settings))


if __name__ == "__main__":
    main()
