"""`python -m llm_worker.forge`: data for a front desk model, its training, and its evaluation in simulated calls."""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

from pydantic import BaseModel

from llm_worker.config import LlmSettings
from llm_worker.forge.dataset import BadRecord, Job, build, described, forget, read_job
from llm_worker.forge.evaluate import Run, by_the_rules, converse, digest, report, write_transcripts
from llm_worker.forge.jobfile import JobError
from services.errors import ServiceError
from services.settings import SettingsError

RULES = "rules"
"""In place of a backend: the front desk of the training data, told what callers mean."""


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m llm_worker.forge", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    _data_arguments(commands.add_parser("data", help="make training data as one job file says"))
    _forget_arguments(commands.add_parser("forget", help="take a source out of data that was made"))
    _train_arguments(commands.add_parser("train", help="train a model from scratch as one job file says"))
    _reinforce_arguments(commands.add_parser("reinforce", help="let a trained model go on by trying"))
    _evaluate_arguments(commands.add_parser("evaluate", help="let simulated callers talk to a backend"))
    _release_arguments(commands.add_parser("release", help="a trained model as a folder to hand on, with a card"))
    arguments = parser.parse_args()
    _COMMANDS[arguments.command](arguments)


def _data_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Writes train.jsonl, held.jsonl and manifest.json. The same job gives the same files."
    _job_argument(parser, Job)


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    # torch is imported only where it is needed; its job is described without it.
    from llm_worker.forge.trainjob import TrainJob

    parser.description = (
        "Trains on the conversations that `data` wrote; run again after a kill, it goes on. Leaves a log, a picture of "
        "the loss, and a folder `model` that TRUNKLINE_LLM_BACKEND=engine serves."
    )
    _job_argument(parser, TrainJob)


def _reinforce_arguments(parser: argparse.ArgumentParser) -> None:
    from llm_worker.forge.reinforcejob import ReinforceJob

    parser.description = (
        "Simulated callers talk to the model, several times each; what went better by the calendar, the validity of "
        "tool calls and the absence of inventions becomes likelier (CISPO). Run again after a kill, it goes on. The "
        "new weights are kept only if held-out callers are served better beyond noise."
    )
    _job_argument(parser, ReinforceJob)


def _job_argument(parser: argparse.ArgumentParser, job: type[BaseModel]) -> None:
    keys = [f"  {name}: {text}" for name, text in described(job)]
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(["keys of a job (TOML):", *keys])
    parser.add_argument("job", type=Path, help="the job's file")


def _forget_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Rewrites train.jsonl and held.jsonl without the conversations of one source."
    parser.add_argument("folder", type=Path, help="where the data lie")
    parser.add_argument("source", help="name of the source, as its job says")


def data(arguments: argparse.Namespace) -> None:
    """Make the data and say how much there is. Exits with 2 if the job or a record is wrong."""
    try:
        manifest = build(read_job(arguments.job), progress=sys.stderr.isatty())
    except (JobError, BadRecord) as problem:
        sys.stderr.write(f"{problem}\n")
        sys.exit(2)
    for key in ("conversations", "characters"):
        sys.stdout.writelines(f"{key}, {name}: {count}\n" for name, count in manifest[key].items())


def learn(arguments: argparse.Namespace) -> None:
    """Train. Exits with 2 if the job or its data are wrong."""
    from llm_worker.forge.train import train

    train(arguments.job)


def try_on(arguments: argparse.Namespace) -> None:
    """Reinforce. Exits with 2 if the job or its model are wrong."""
    from llm_worker.forge.reinforce import reinforce

    reinforce(arguments.job)


def take_out(arguments: argparse.Namespace) -> None:
    """Take a source out of the data. Exits with 2 if the folder holds none."""
    try:
        gone = forget(arguments.folder, arguments.source)
    except JobError as problem:
        sys.stderr.write(f"{problem}\n")
        sys.exit(2)
    sys.stdout.write(f"{gone} conversations of {arguments.source} taken out\n")


def _evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Simulated callers whose phrasings, names and flows are in no training data talk to a backend in text; the "
        "calendar's final state, the tools' arguments and what was made up are checked. Prints a table."
    )
    parser.add_argument(
        "--backend",
        default="scripted",
        help="as TRUNKLINE_LLM_BACKEND, whose other settings hold too, e.g. scripted, openai, engine; or "
        f"{RULES!r}: the front desk of the training data, which is told what callers mean; default: %(default)s",
    )
    parser.add_argument("--calls", type=int, default=300, help="simulated calls; default: %(default)s")
    parser.add_argument("--first", type=int, default=0, help="number of the first call; default: %(default)s")
    parser.add_argument(
        "--handwritten", action="store_true", help="the 60 dialogues written by hand, in place of calls"
    )
    parser.add_argument(
        "--noise",
        type=float,
        nargs="?",
        const=1.0,
        default=0.0,
        help="put the recogniser's errors on callers' words, so many times as often as counted (alone: 1); with "
        "--handwritten: as their lines were recognised over the telephone",
    )
    parser.add_argument("--at-once", type=int, default=1, help="calls held at the same time; default: %(default)s")
    parser.add_argument("--temperature", type=float, default=0.0, help="of sampling; default: %(default)s")
    parser.add_argument("--json", type=Path, help="write all figures and each call's result here")
    parser.add_argument("--transcripts", type=Path, help="write the calls that went wrong here, to read")


def _release_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes weights of 8 bits, vocabulary, configuration and card.md, from RUN/model and what "
        "`evaluate --backend engine --json RUN/evaluation/NAME.json` found with it. Refuses what was not evaluated, is "
        "too large, loses too much by rounding, or is not served by the engine."
    )
    parser.add_argument("run", type=Path, help="the `out` of a training")
    parser.add_argument("out", type=Path, help="folder to write; its name is the model's")
    parser.add_argument("--megabytes", type=float, default=16.0, help="most; default: %(default)s")
    parser.add_argument(
        "--loss", type=float, default=0.01, help="most that rounding may add to the held-out loss; default: %(default)s"
    )
    parser.add_argument("--licence", default="Apache-2.0", help="of the model; default: %(default)s")


def hand_on(arguments: argparse.Namespace) -> None:
    """Release. Exits with 1 if the model is not to be released."""
    from llm_worker.forge.release import Bounds, release_to

    bounds = Bounds(arguments.megabytes, arguments.loss)
    release_to(arguments.run, arguments.out, bounds, arguments.licence)


def evaluate(arguments: argparse.Namespace) -> None:
    """Run, print, write. Exits with 1 if the backend cannot be used, 2 if settings are wrong."""
    run = Run(
        calls=arguments.calls,
        seed=arguments.first,
        noise=arguments.noise,
        handwritten=arguments.handwritten,
        at_once=arguments.at_once,
        temperature=arguments.temperature,
    )
    folder = ""
    if arguments.backend == RULES:
        if run.handwritten:
            sys.exit("--backend rules: the dialogues written by hand do not say what their words mean")
        calls = by_the_rules(run)
    else:
        from llm_worker.__main__ import build  # the worker's own choice of backends

        try:
            settings = LlmSettings.read({**os.environ, "TRUNKLINE_LLM_BACKEND": arguments.backend})
            folder = settings.folder if settings.backend == "engine" else ""
            calls = asyncio.run(converse(run, build(settings)))
        except SettingsError as error:
            sys.stderr.write(f"{error}\n")
            sys.exit(2)
        except ServiceError as error:
            sys.exit(str(error))
    lines, figures = report(run, arguments.backend, calls)
    if folder:
        figures["weights"] = digest(Path(folder))
    sys.stdout.write("\n".join(lines) + "\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    if arguments.transcripts:
        write_transcripts(arguments.transcripts, calls, run)


_COMMANDS = {
    "data": data,
    "forget": take_out,
    "train": learn,
    "reinforce": try_on,
    "evaluate": evaluate,
    "release": hand_on,
}


if __name__ == "__main__":
    main()
