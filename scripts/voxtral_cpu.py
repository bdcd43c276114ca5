"""python scripts/voxtral_cpu.py: where the time of a frame goes on one core, for each way of keeping the weights.

Processor time, not wall time: other work on the machine slows caches down but is not counted. The variants take turns.
`no products` replaces every matrix product by memory that is not written, and shows what all the rest costs.
"""

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from tts_worker.model.backbone import Cache
from tts_worker.model.config import shipped_config
from tts_worker.model.frames import frame_of
from tts_worker.model.network import Voxtral, build, fold, randomise
from tts_worker.model.noise import normal
from tts_worker.model.precision import Precision, apply

CONFIG = shipped_config("micro")
LENGTH, PROMPT, ROUNDS, TIMES, WARM_UP = 400, 60, 3, 12, 3
PRECISIONS: dict[str, Precision] = {"float32": "float32", "bfloat16": "bfloat16"}


class Nothing(nn.Module):
    """A product that is not computed."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self._outputs = outputs

    def forward(self, x: Tensor) -> Tensor:
        return x.new_empty(*x.shape[:-1], self._outputs)


def made(variant: str) -> Voxtral:
    model = build(CONFIG, LENGTH, encoder=False, dtype=torch.float32, device="cpu")
    randomise(model, seed=0)
    fold(model)
    if variant in PRECISIONS:
        apply(model, PRECISIONS[variant])
    elif variant == "no products":
        for module in list(model.modules()):
            for name, child in module.named_children():
                if type(child) is nn.Linear:
                    setattr(module, name, Nothing(child.weight.shape[0]))
    return model


def parts(model: Voxtral, streams: int) -> dict[str, Callable[[], object]]:
    """What a frame consists of, and the prompt before it."""
    cache = Cache.empty(CONFIG, streams, LENGTH, torch.float32, torch.device("cpu"))
    state, noise = torch.randn(streams, CONFIG.dim), torch.randn(streams, model.heads.books)
    guidance, number = torch.full((streams,), 1.2), torch.arange(streams)
    last = torch.full((streams, 1), LENGTH - 1)
    prompt, places = torch.randn(1, PROMPT, CONFIG.dim), torch.arange(PROMPT)[None]
    levels = CONFIG.audio.acoustic_codebook_size

    def rest() -> Tensor:
        values = normal(number, number, model.heads.books).nan_to_num()
        frames = frame_of(model.heads.semantic_logits(state).argmax(-1).clamp(max=9), values, levels)
        embedded: Tensor = model.frame_embedding(frames)
        return embedded

    def codec(frames: int) -> Callable[[], object]:
        codes = torch.zeros(streams, frames, CONFIG.audio.codebooks, dtype=torch.int64)
        _, begun = model.decoder(codes, model.decoder.fresh(streams))
        return lambda: model.decoder(codes, begun)

    return {
        "flow": lambda: model.heads.sample(state, noise, guidance),
        "flow without guidance": lambda: model.heads.sample(state, noise, guidance, guided=False),
        "backbone": lambda: model.backbone(state[:, None], last, cache),
        "rest": rest,
        "codec, first frame": codec(1),
        "codec, six frames": codec(6),
        f"prompt of {PROMPT}": lambda: model.backbone(prompt, places, cache.rows(0, 1, LENGTH)),
    }


def times(work: Callable[[], object]) -> list[float]:
    """Milliseconds."""
    found = []
    for _ in range(WARM_UP + TIMES):
        began = time.process_time()
        work()
        found.append(1e3 * (time.process_time() - began))
    return found[WARM_UP:]


@torch.inference_mode()
def main() -> None:
    torch.set_num_threads(1)
    models = {variant: made(variant) for variant in ("plain", *PRECISIONS, "no products")}
    for streams in (1, 4):
        found: dict[str, dict[str, list[float]]] = {}
        for _ in range(ROUNDS):
            for variant, model in models.items():
                for part, work in parts(model, streams).items():
                    found.setdefault(part, {}).setdefault(variant, []).extend(times(work))
        print(f"| {streams} streams, ms: least / median | " + " | ".join(models) + " |")
        print("| --- |" + " --- |" * len(models))
        for part, row in found.items():
            print(f"| {part} | " + " | ".join(f"{min(t):.1f} / {median(t):.1f}" for t in row.values()) + " |")


if __name__ == "__main__":
    main()
