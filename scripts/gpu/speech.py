"""python -m scripts.gpu.speech: the flow-matching engine on a GPU: that it is right, and how fast it is.

First a small model with random weights says the same on the GPU as on the processor, and recorded steps the same as
plain ones. Then `tts_worker.bench` at full size, in a process of its own for each number of streams: one that fails or
takes too long is told of and costs the others nothing. What was measured before is read from the folder and not
measured again, so that a run that was broken off goes on.

Of requirements.lock it needs numpy, pydantic, babel, unicode-rbnf, soxr, safetensors, tiktoken and grpcio,
with what these ask for, and a torch for the GPU (2.11 or later). Neither weights nor a network.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from tts_worker.model.config import shipped_config
from tts_worker.model.network import Voxtral, build, fold, randomise
from tts_worker.model.prompt import text_ids, voice_ids
from tts_worker.model.tokenizer import Bytes
from tts_worker.pieces import Frames
from tts_worker.runner import Beginning, Runner, sound_of
from tts_worker.tuning import tuned

_FRAMES, _SLOTS, _LENGTH, _VOICE = 40, 6, 192, 9
_FIRST = 8
"""Frames that are compared between devices: later ones hang on these."""
_FULL = (1, 32, 400, 8, 16, 64, 128, 256, 512, 640, 2, 4)
"""The most wanted first: the limit may come before the end."""
_COMPILED, _SMALL = (1, 32, 400), (1, 2)
_SHARE = 0.4
"""Of the limit, that one number of streams may take."""


@dataclass(frozen=True)
class Speech:
    """What a runner says: frames [streams, frames, books] and sound [streams, samples]."""

    frames: Frames
    sound: np.ndarray


def speak(size: str, device: str, dtype: torch.dtype, recorded: bool) -> Speech:
    """Some streams at once, of which one joins late."""
    runner = Runner(_model(size, device, dtype), _SLOTS, _LENGTH, replace(tuned(device, _SLOTS), recorded=recorded))
    rows = torch.randn(_VOICE, runner.model.config.dim, generator=torch.Generator().manual_seed(1)).to(dtype)
    prefix = runner.voice(voice_ids(Bytes(), _VOICE), rows)
    texts = ("Good morning.", "Yes.", "No, thank you, not today.")
    starts = [Beginning(slot, prefix, text_ids(Bytes(), text), seed=slot) for slot, text in enumerate(texts)]
    runner.begin(starts[:2])
    made: dict[int, list[Frames]] = {start.slot: [] for start in starts}
    for step in range(_FRAMES + 5):
        if step == 5:
            runner.begin(starts[2:])
        active = [slot for slot in made if slot < 2 or step >= 5]
        for slot, frame in zip(active, runner.step(active).take()[0], strict=True):
            made[slot].append(frame)
    frames = np.stack([np.stack(made[slot][:_FRAMES]) for slot in made])
    parts = [sound_of(runner.decode(list(made), part)) for part in np.split(frames, (1, 3, 6, 12), axis=1)]
    return Speech(frames, np.concatenate(parts, axis=1))


def _model(size: str, device: str, dtype: torch.dtype) -> Voxtral:
    """The same random weights on every device."""
    config = shipped_config(size)
    source = build(config, _LENGTH, encoder=False, dtype=torch.float32, device="cpu")
    model = build(config, _LENGTH, encoder=False, dtype=dtype, device=device)
    with torch.inference_mode():
        randomise(source, seed=3)
        source.heads.semantic.weight[1] = 0  # no end
        model.load_state_dict(source.state_dict())
        fold(model)
    return model


def agreement(size: str, device: str) -> list[str]:
    """What does not agree, in words; prints what was compared."""
    wrong = []
    reference = speak(size, "cpu", torch.float32, recorded=False)
    recorded = device == "cuda"
    runs = {
        "float32, plain": speak(size, device, torch.float32, recorded=False),
        "float32, recorded": speak(size, device, torch.float32, recorded),
        "bfloat16, recorded": speak(size, device, torch.bfloat16, recorded),
    }
    for name, run in runs.items():
        equal = float((run.frames == reference.frames).mean())
        sys.stdout.write(f"{device}, {name}: {equal:.1%} of the codes as on the processor in float32\n")
        if not np.isfinite(run.sound).all():
            wrong.append(f"{name}: sound that is not finite")
    plain, replayed = runs["float32, plain"], runs["float32, recorded"]
    if not np.array_equal(plain.frames, replayed.frames):
        wrong.append("recorded steps make other frames than plain ones")
    if (plain.frames[:, :_FIRST] != reference.frames[:, :_FIRST]).mean() > 0.02:
        wrong.append("the first frames differ between the GPU and the processor in float32")
    for mine, other in zip(_streams(plain), _streams(reference), strict=True):
        if np.array_equal(mine.frames, other.frames) and np.abs(mine.sound - other.sound).max() > 1e-2:
            wrong.append("the same frames sound otherwise on the GPU than on the processor in float32")
    return wrong


@dataclass(frozen=True)
class Run:
    """One number of streams to be measured."""

    streams: int
    output: Path
    options: tuple[str, ...]

    def measure(self, seconds: float) -> str:
        """In a process of its own. What went wrong, in words, or nothing."""
        command = [sys.executable, "-m", "tts_worker.bench", *self.options]
        command += ["--streams", str(self.streams), "--output", str(self.output)]
        sys.stdout.flush()
        try:
            done = subprocess.run(command, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            return f"{self.streams} streams: not measured after {seconds:.0f} s"
        # It is 1 where there is a result, and streams fall behind.
        found = done.returncode in (0, 1) and self.streams in results(self.output)
        return "" if found else f"{self.streams} streams: the benchmark ended with {done.returncode}"


def results(output: Path) -> dict[int, float]:
    """What was measured so far: the worst real-time factor, by the number of streams."""
    if not output.exists():
        return {}
    rows = json.loads(output.read_text("utf-8"))["rows"]
    return {row["load"]["streams"]: row["load"]["real_time_factor_worst"] for row in rows}


def runs(folder: Path, small: bool) -> Iterator[Run]:
    """In order; more streams than those that fell behind already are not tried."""
    options = ("--config", "nano", "--device", "cpu", "--seconds", "1") if small else ("--config", "4b")
    kinds = [("speech.json", options, _SMALL if small else _FULL)]
    kinds += [] if small else [("speech-compiled.json", (*options, "--compile"), _COMPILED)]
    for name, of_kind, numbers in kinds:
        for streams in numbers:
            behind = [number for number, factor in results(folder / name).items() if factor >= 1]
            if streams < min(behind, default=streams + 1):
                yield Run(streams, folder / name, of_kind)


def _streams(speech: Speech) -> list[Speech]:
    """The beginning of each stream."""
    samples = speech.sound.shape[1] // speech.frames.shape[1] * _FIRST
    return [Speech(frames[:_FIRST], sound[:samples]) for frames, sound in zip(speech.frames, speech.sound, strict=True)]


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when all agrees and all was measured."""
    given = _parse(arguments)
    began = time.monotonic()
    given.folder.mkdir(parents=True, exist_ok=True)
    torch.backends.cuda.matmul.allow_tf32 = False  # the comparison is of float32
    try:
        wrong = agreement("nano", "cpu") if given.small else agreement("micro", "cuda")
    except Exception as error:  # noqa: BLE001 - whatever it is, the speed can still be measured
        wrong = [f"the comparison failed: {error!r}"]
    for run in runs(given.folder, given.small):
        left = given.limit - (time.monotonic() - began)
        if left <= 0:
            wrong.append("the limit is reached; the next run goes on from here")
            break
        if problem := run.measure(min(left, _SHARE * given.limit)):
            wrong.append(problem)
    sys.stdout.write("".join(f"{line}\n" for line in wrong))
    return int(bool(wrong))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    first, *rest = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(prog="python -m scripts.gpu.speech", description=first, epilog="\n\n".join(rest))
    parser.add_argument("folder", type=Path, help="where results are written and looked for")
    parser.add_argument("--limit", type=float, default=420, help="seconds that all of it may take, about (420)")
    parser.add_argument("--small", action="store_true", help="a small model on the processor: to try the script")
    given = parser.parse_args(arguments)
    if not given.small and not torch.cuda.is_available():
        parser.error("torch finds no GPU here; valid: --small")
    return given


if __name__ == "__main__":
    sys.exit(main())
