"""python -m scripts.gpu.speech: the flow-matching engine on a GPU: that it is right, and how fast it is.

First a small model with random weights says the same on the GPU as on the processor, and recorded steps the same as
plain ones. Then `tts_worker.bench` at full size. What was measured before is read from the folder and not measured
again, so that a run that was broken off goes on.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from tts_worker.bench.__main__ import main as bench
from tts_worker.model.config import shipped_config
from tts_worker.model.network import Voxtral, build, fold, randomise
from tts_worker.model.prompt import text_ids, voice_ids
from tts_worker.model.tokenizer import Bytes
from tts_worker.pieces import Frames
from tts_worker.runner import Beginning, Runner, sound_of
from tts_worker.tuning import tuned

_FRAMES, _SLOTS, _LENGTH, _VOICE = 40, 6, 192, 9
_FULL = "1,32,400,8,16,64,128,256,512,640,2,4"
"""The most wanted first: the limit may come before the end."""
_SMALL = "1,2"


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
    if (runs["float32, plain"].frames[:, :8] != reference.frames[:, :8]).mean() > 0.02:
        wrong.append("the first frames differ between the GPU and the processor in float32")
    return wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when all agrees and one stream at least is spoken in real time."""
    given = _parse(arguments)
    began = time.monotonic()
    torch.backends.cuda.matmul.allow_tf32 = False  # the comparison is of float32
    device = "cpu" if given.small else "cuda"
    if wrong := agreement("nano" if given.small else "micro", device):
        sys.exit("\n".join(wrong))
    given.folder.mkdir(parents=True, exist_ok=True)
    options = ["--config", "nano" if given.small else "4b", "--device", device]
    options += ["--seconds", "3"] if given.small else []
    code = 1
    for compiled in ([], ["--compile"]) if not given.small else ([],):
        for streams in (_SMALL if given.small else _FULL if not compiled else "1,32,400").split(","):
            if time.monotonic() - began > given.limit:
                sys.stdout.write("the limit is reached; the next run goes on from here\n")
                return code
            name = "speech-compiled.json" if compiled else "speech.json"
            output = ["--output", str(given.folder / name)]
            code = min(code, bench([*options, *compiled, *output, "--streams", streams]))
    return code


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    first, *rest = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(prog="python -m scripts.gpu.speech", description=first, epilog="\n\n".join(rest))
    parser.add_argument("folder", type=Path, help="where results are written and looked for")
    parser.add_argument("--limit", type=float, default=420, help="seconds after which nothing new is begun (420)")
    parser.add_argument("--small", action="store_true", help="a small model on the processor: to try the script")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
