"""python -m scripts.gpu.language_model: the published shape with random 8-bit weights on one GPU.

First token after an append of 60 tokens to 2,000 cached ones; milliseconds per token of one answer; tokens per second
of 32 and of 128 at once, with the share of what the memory's bandwidth allows. Experts, 97 % of the weights, are kept
and computed in 8 bits, the rest in bfloat16. Where the whole does not fit, as many layers as do, and the result says
so. Every measurement is written when it is made; one that is in the file is not made again. Runs at small size on a
CPU, too.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from llm_worker.benches.ours import Ours, Room, engine
from llm_worker.benches.script import words
from llm_worker.model.config import Config, shipped_config, shipped_names
from llm_worker.model.experts_fp8 import Fp8Experts, build_in_fp8
from llm_worker.model.network import Decoder

LIMIT = 520.0
"""Seconds after which nothing new is begun."""
SPARE = 12e9
"""Bytes left for the cache and for what a step needs."""
H200 = 4.8e12
"""Bytes a second of its memory."""


@dataclass(frozen=True)
class Job:
    """What is to be measured."""

    config: Config
    streams: tuple[int, ...]
    cached: int
    appended: int
    tokens: int
    repeat: int
    bandwidth: float
    output: Path


def layer_bytes(config: Config) -> tuple[float, float]:
    """Bytes of a layer's experts, one byte a number, and of the rest of it, two bytes a number."""
    expert = 3 * config.dim * config.moe.expert_hidden_dim
    heads = config.n_heads
    attention = (
        config.dim * (config.q_lora_rank + config.latent_dim)
        + heads * config.query_dim * config.q_lora_rank
        + heads * (config.qk_nope_head_dim + config.v_head_dim) * config.kv_lora_rank
        + heads * config.v_head_dim * config.dim
    )
    rest = attention + config.dim * config.moe.num_experts + 3 * config.dim * config.shared_hidden_dim
    return float(expert * config.moe.num_experts), 2.0 * rest


def fitting(config: Config, memory: float) -> Config:
    """As many layers as fit into so many bytes."""
    tables = 2 * 2 * config.vocab_size * config.dim
    layers = int((memory - SPARE - tables) // sum(layer_bytes(config)))
    return config.model_copy(update={"n_layers": max(1, min(config.n_layers, layers))})


def bytes_read(config: Config, streams: int, context: int) -> float:
    """Of one step of single tokens: experts that are touched when routing is even, the rest, contexts, the head."""
    experts, rest = layer_bytes(config)
    touched = 1 - (1 - config.moe.num_experts_per_tok / config.moe.num_experts) ** streams
    contexts = 2.0 * streams * context * config.latent_dim
    return config.n_layers * (experts * touched + rest + contexts) + 2.0 * config.vocab_size * config.dim


@torch.no_grad()
def model_of(config: Config, device: str) -> Decoder:
    """Random weights."""
    model = build_in_fp8(config, device)
    generator = torch.Generator(device).manual_seed(0)
    for name, parameter in model.named_parameters():
        if name.endswith("norm.weight"):
            parameter.fill_(1)
        else:
            width = 1.0 if name.startswith("embedding") else parameter.shape[-1] ** -0.5
            parameter.normal_(0, width, generator=generator)
    for module in model.modules():
        if isinstance(module, Fp8Experts):
            module.randomise()
    return model


async def measure(job: Job, model: Decoder, done: dict[str, Any], began: float) -> None:
    """Whatever is not in `done` yet; it is written after each."""
    draw = random.Random(0)
    contexts = job.cached + job.tokens + 2 * job.appended
    most = max(job.streams)
    room = Room(tokens=most * contexts + contexts, context=contexts, rows=most, block=64, most_tokens=2048)
    async with engine(model, room) as ours:
        done["ready_seconds"] = round(time.monotonic() - began, 1)
        for name, work in (
            ("first_token_ms", _first_token(job, ours, draw)),
            *((f"streams_{count}", _decoding(job, ours, draw, count)) for count in (1, *job.streams)),
        ):
            if name in done or time.monotonic() - began > LIMIT:
                work.close()
                continue
            done[name] = await work
            sys.stdout.write(f"{name:16} {json.dumps(done[name])}\n")
            sys.stdout.flush()
            job.output.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")
    if torch.cuda.is_available():
        done["memory_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 1)
        job.output.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")


async def _first_token(job: Job, ours: Ours, draw: random.Random) -> dict[str, float]:
    vocabulary = job.config.vocab_size
    firsts = []
    for _ in range(job.repeat + 2):  # the first ones warm up
        caller = ours.caller()
        cached = words(draw, job.cached, vocabulary)
        await caller.said(cached)
        await caller.answer(cached, 1)  # and its last token waits for the device
        first, _ = await caller.answer([*cached, *words(draw, job.appended, vocabulary)], 2)
        firsts.append(1000 * first)
        caller.close()
    kept = firsts[2:]
    return {"p50": round(median(kept), 2), "worst": round(max(kept), 2)}


async def _decoding(job: Job, ours: Ours, draw: random.Random, streams: int) -> dict[str, float]:
    prompts = [words(draw, job.cached // 4, job.config.vocab_size) for _ in range(streams)]
    await ours.decoding(prompts, 4)
    seconds = await ours.decoding(prompts, job.tokens)
    step = seconds / job.tokens
    floor = bytes_read(job.config, streams, job.cached // 4 + job.tokens // 2) / job.bandwidth
    return {
        "ms_per_step": round(1000 * step, 3),
        "tokens_per_second": round(streams / step, 1),
        "roofline_share": round(floor / step, 4),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    began = time.monotonic()
    given = _parse(arguments)
    config = shipped_config(given.config)
    if given.device == "cuda":
        config = fitting(config, torch.cuda.mem_get_info()[0])
    if given.layers:
        config = config.model_copy(update={"n_layers": min(given.layers, config.n_layers)})
    job = Job(
        config, tuple(given.streams), given.cached, given.appended, given.tokens, given.repeat, given.bandwidth,
        given.output,
    )  # fmt: skip
    about = {
        "config": given.config,
        "layers": config.n_layers,
        "of_layers": shipped_config(given.config).n_layers,
        "device": torch.cuda.get_device_name() if given.device == "cuda" else "cpu",
        "torch": torch.__version__,
        "sizes": [job.cached, job.appended, job.tokens],
    }
    done = _resumed(given.output, about)
    sys.stdout.write(f"{given.config}: {config.n_layers} of {about['of_layers']} layers on {about['device']}\n")
    with torch.inference_mode():
        model = model_of(config, given.device)
    asyncio.run(measure(job, model, done, began))
    return 0


def _resumed(output: Path, about: dict[str, Any]) -> dict[str, Any]:
    """What an earlier run of the same job has measured."""
    if output.exists():
        earlier: dict[str, Any] = json.loads(output.read_text("utf-8"))
        if all(earlier.get(name) == value for name, value in about.items()):
            return earlier
    return about


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.gpu.language_model", description=__doc__)
    parser.add_argument("--config", choices=shipped_names(), default="119b")
    parser.add_argument("--layers", type=int, help="at most; default: as many as fit")
    parser.add_argument("--streams", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--cached", type=int, default=2000, help="tokens (default 2000)")
    parser.add_argument("--appended", type=int, default=60, help="tokens (default 60)")
    parser.add_argument("--tokens", type=int, default=100, help="of an answer (default 100)")
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--bandwidth", type=float, default=H200, help="bytes a second (default 4.8e12)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--output", type=Path, required=True, help="JSON file; a run goes on where it ended")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
