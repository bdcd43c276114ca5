"""python -m tts_worker.bench: how fast the flow-matching engine speaks, with random weights.

The engine as it serves, without the network in front of it: text in, 16 bit sound at 24 kHz out. For each number of
streams: that many speak at any time, each 500 characters and 37 s with a voice of 10 s; the end is masked and the
length fixed. Stops where streams fall behind real time.
"""

import argparse
import json
import logging
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from tts_worker.bench.load import Load, Task
from tts_worker.bench.load import measure as measure_load
from tts_worker.bench.parts import Parts
from tts_worker.bench.parts import measure as measure_parts
from tts_worker.bench.random import CHARACTERS, SECONDS, VOICE, RandomModel, text
from tts_worker.engine import Utterance
from tts_worker.model.config import ConfigError, shipped_names
from tts_worker.room import Room
from tts_worker.tuning import tuned
from tts_worker.voxtral import VoxtralEngine

_HEAD = (
    "streams  first audio p50     p95  RTF p50   worst  characters/s |  step  heads  backbone  codec   host (ms) "
    "| starved"
)


@dataclass(frozen=True)
class Row:
    """What was found with one number of streams."""

    load: Load
    parts: Parts

    def __str__(self) -> str:
        load, parts = self.load, self.parts
        firsts = f"{1e3 * load.first_audio_p50:15.1f}  {1e3 * load.first_audio_p95:6.1f}"
        speed = f"{load.real_time_factor:7.3f}  {load.real_time_factor_worst:6.3f}  {load.characters_per_second:12.0f}"
        split = f"{1e3 * load.step:5.1f}  {1e3 * parts.heads:5.1f}  {1e3 * parts.backbone:8.1f}  "
        split += f"{1e3 * parts.codec:5.1f}  {1e3 * parts.host:5.1f}     "
        return f"{load.streams:7}  {firsts}  {speed} | {split} | {load.starved} of {load.measured}"


def rows(given: argparse.Namespace, streams: int) -> Row:
    """With an engine of its own for the number of streams."""
    source = RandomModel(given.config, given.device, given.precision)
    seconds = source.config.frame_seconds
    task = Task(round(CHARACTERS * given.seconds / SECONDS), round(given.seconds / seconds))
    engine = VoxtralEngine(source, _room(source, task, streams), partial(tuned, compiled=given.compile))
    engine.load()
    if task.characters < 10 or engine.batch < streams:
        raise ConfigError("--seconds: too few")
    _warm(engine, task)
    return Row(measure_load(engine, streams, task), measure_parts(engine, streams, task))


def _room(source: RandomModel, task: Task, streams: int) -> Room:
    """Just enough for them."""
    positions = 160 + task.characters + 2 * max(task.frames, task.characters)
    one = Room(0, positions).of_one(source.config, source.bytes_per_number)
    return Room(streams * one, positions)


def _warm(engine: VoxtralEngine, task: Task) -> None:
    """A phrase before those that count."""
    speech = engine.begin(Utterance(text(task.characters), VOICE, 0))
    speech.most = 20
    while not speech.gone:
        engine.step([speech])


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when at least one stream is spoken in real time."""
    given = _parse(arguments)
    torch.set_num_threads(given.threads)
    logging.getLogger("tts_worker").setLevel(logging.ERROR)  # no phrase here finds an end
    known = _known(given)
    sys.stdout.write(_HEAD + "\n")
    keeps_up = False
    for streams in given.streams:
        row = known.get(streams)
        if row is None:
            try:
                row = rows(given, streams)
            except (ConfigError, torch.OutOfMemoryError) as error:
                sys.exit(f"{streams} streams: {error}")
            known[streams] = row
            _write(given, known)
        sys.stdout.write(f"{row}\n")
        sys.stdout.flush()
        keeps_up = keeps_up or row.load.keeps_up
        if row.load.real_time_factor_worst >= 1:
            break
    return int(not keeps_up)


def _known(given: argparse.Namespace) -> dict[int, Row]:
    """What an earlier run that was broken off has written, if it was of the same kind."""
    if not (given.output and given.output.exists()):
        return {}
    before = json.loads(given.output.read_text("utf-8"))
    if before["run"] != _run(given):
        sys.exit(f"{given.output}: holds another kind of run; give another name")
    return {row["load"]["streams"]: Row(Load(**row["load"]), Parts(**row["parts"])) for row in before["rows"]}


def _write(given: argparse.Namespace, known: dict[int, Row]) -> None:
    if given.output:
        result = {"run": _run(given), "rows": [asdict(row) for _, row in sorted(known.items())]}
        given.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _run(given: argparse.Namespace) -> dict[str, object]:
    """What makes two runs comparable."""
    on = given.device.startswith("cuda")
    device = torch.cuda.get_device_name() if on else platform.processor() or platform.machine()
    kinds = {name: getattr(given, name) for name in ("config", "seconds", "precision", "compile", "threads")}
    return {**kinds, "device": device, "cores": os.cpu_count(), "torch": torch.__version__}


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    first, *rest = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(prog="python -m tts_worker.bench", description=first, epilog="\n\n".join(rest))
    cuda = torch.cuda.is_available()
    numbers = "1,2,4,8,16,32,64,128,256,400,512,640" if cuda else "1,2,4,8"
    parser.add_argument("--config", choices=shipped_names(), default="micro", help="size of the model (default micro)")
    parser.add_argument("--streams", type=_numbers, default=_numbers(numbers), help=f"default {numbers}")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of sound per stream (default {SECONDS:g})")
    parser.add_argument("--threads", type=int, default=1, help="of the processor (default 1)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if cuda else "cpu")
    precisions = ("float32", "bfloat16")
    parser.add_argument("--precision", choices=precisions, help="default: bfloat16 on a GPU, else float32")
    parser.add_argument("--compile", action="store_true", help="layers through torch.compile: minutes at the start")
    parser.add_argument("--output", type=Path, help="JSON file to write; what it holds already is not measured again")
    given = parser.parse_args(arguments)
    given.precision = given.precision or ("bfloat16" if given.device == "cuda" else "float32")
    return given


def _numbers(value: str) -> list[int]:
    numbers = sorted({int(part) for part in value.split(",")})
    if numbers[0] < 1:
        raise argparse.ArgumentTypeError("numbers of streams are at least 1")
    return numbers


if __name__ == "__main__":
    sys.exit(main())
