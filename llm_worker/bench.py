"""python -m llm_worker.bench: how fast the engine is by itself, and beside transformers on the same weights.

`alone`: one conversation and several on one core. `beside`: this engine and transformers' continuous batching (prefix
blocks on), by turns in one process on the same random weights in the same dtype. Weights are random, so
nothing depends on what is said; sizes are in tokens.
"""

import argparse
import asyncio
import json
import math
import os
import platform
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from llm_worker.benches.ours import Ours, Room, engine, random_model
from llm_worker.benches.script import Talk, hold, words
from llm_worker.model.config import Config, shipped_config, shipped_names
from llm_worker.model.network import Decoder

Result = dict[str, float]
_WARM_UP = 3
_ANSWER = 64
_SHARED = 1000
"""About a system prompt with the tools of a front desk."""


def sized(name: str) -> Config:
    """A shipped configuration, or `mid`: large enough that products count more than calls of kernels, and with values
    as wide as keys, as transformers' paged cache wants it."""
    if name != "mid":
        return shipped_config(name)
    shape = shipped_config("frontdesk")
    experts = shape.moe.model_copy(update={"num_experts": 32, "expert_hidden_dim": 256})
    wider = {
        "dim": 512,
        "n_layers": 8,
        "q_lora_rank": 256,
        "kv_lora_rank": 128,
        "v_head_dim": 64,
        "vocab_size": 8192,
        "moe": experts,
    }
    return shape.model_copy(update=wider)


async def alone(model: Decoder, streams: int, context: int, tokens: int, repeat: int) -> Result:
    """The first part. `first_token`: from the last words of a caller whose conversation is cached, p50 and p95."""
    draw, vocabulary = random.Random(0), model.config.vocab_size
    async with engine(model, Room()) as ours:
        prompts = [words(draw, context, vocabulary) for _ in range(streams)]
        await ours.decoding(prompts, _WARM_UP)
        firsts = []
        caller = ours.caller()
        history = words(draw, context, vocabulary)
        await caller.said(history)
        for _ in range(repeat):
            history += words(draw, 20, vocabulary)
            await caller.said(history)
            first, said = await caller.answer([*history, *words(draw, 3, vocabulary)], 10)
            firsts.append(first)
            history += said
        caller.close()
        single, several = [await _speed(ours, chosen, tokens) for chosen in (prompts[:1], prompts)]
    return {
        "first_token_ms_p50": 1000 * median(firsts),
        "first_token_ms_p95": 1000 * sorted(firsts)[math.ceil(0.95 * len(firsts)) - 1],
        "tokens_per_second_1": single[0],
        f"tokens_per_second_{streams}": several[0],
        f"gain_of_{streams}": several[0] / single[0],
        "tokens_per_cpu_second_1": single[1],
        f"tokens_per_cpu_second_{streams}": several[1],
    }


async def _speed(ours: Ours, prompts: list[list[int]], tokens: int) -> tuple[float, float]:
    """Tokens a second, and a second of processor time, in which others who use the machine do not count. The prompts
    are in the cache."""
    cpu = time.process_time()
    seconds = await ours.decoding(prompts, tokens)
    made = len(prompts) * tokens
    return made / seconds, made / (time.process_time() - cpu)


async def beside(model: Decoder, streams: int, page: int, repeat: int, talk: Talk) -> dict[str, Result]:
    """The second part: what each engine takes for the same. They take turns, so that a machine that others use treats
    both alike, and the medians count."""
    from llm_worker.benches import theirs

    room = Room()
    vocabulary = model.config.vocab_size
    async with engine(model, room, greedy=True) as ours:
        with theirs.serving(theirs.converted(model), room.tokens, page) as server:
            both = {"ours": ours, "transformers": server}
            found = await _in_turns(both, streams, vocabulary, repeat)
            found["ours"] |= await _talk(ours, ours.caller(), talk, vocabulary)
            found["transformers"] |= await _talk(server, theirs.AheadCaller(server), talk, vocabulary)
            late = replace(talk, seed=talk.seed + 1)  # nothing of it is in the cache yet
            found["transformers, asked late"] = await _talk(server, theirs.LateCaller(server), late, vocabulary)
    return found


async def _in_turns(both: dict[str, Any], streams: int, vocabulary: int, repeat: int) -> dict[str, Result]:
    """Aggregate speed of several answers, to new short prompts and in calls (a beginning that all share and 200 tokens
    of each call are in the cache, 20 are new); the first token after an append of 60 tokens to 2,000 cached ones."""
    draw = random.Random(0)
    found: dict[str, dict[str, list[float]]] = {name: {} for name in both}

    async def each(name: str, prompts: list[list[int]], tokens: int) -> None:
        for who, of in both.items():
            cpu = time.process_time()
            seconds = await of.together(prompts, tokens)
            made = len(prompts) * tokens
            found[who].setdefault(f"{name}_tokens_per_second", []).append(made / seconds)
            found[who].setdefault(f"{name}_tokens_per_cpu_second", []).append(made / (time.process_time() - cpu))

    for of in both.values():
        await of.together([words(draw, 40, vocabulary) for _ in range(2)], _WARM_UP)
    beginning = words(draw, _SHARED, vocabulary)
    for _ in range(repeat):
        await each("short", [words(draw, 128, vocabulary) for _ in range(streams)], _ANSWER)
        calls = [[*beginning, *words(draw, 200, vocabulary)] for _ in range(streams)]
        for of in both.values():
            await of.together(calls, 1)
        await each("calls", [[*call, *words(draw, 20, vocabulary)] for call in calls], _ANSWER)
    for _ in range(3 * repeat):
        cached = words(draw, 2000, vocabulary)
        more = [*cached, *words(draw, 60, vocabulary)]
        for who, of in both.items():
            await of.together([cached], 1)
            seconds = await of.together([more], 1)
            found[who].setdefault("append_60_first_token_ms", []).append(1000 * seconds)
    return {who: {name: median(values) for name, values in results.items()} for who, results in found.items()}


async def _talk(of: Any, caller: Any, talk: Talk, vocabulary: int) -> Result:
    """The scripted conversation: tokens of prompts that were computed in it, and its first tokens."""
    counted = of.desk if hasattr(of, "desk") else of
    before = counted.computed_tokens
    firsts = await hold(talk, caller, vocabulary)
    answers = talk.turns * (talk.answer - 1)  # an answer's last token is computed as part of the next prompt
    return {
        "talk_prefilled_tokens": counted.computed_tokens - before - answers,
        "talk_first_token_ms": 1000 * median(firsts),
    }


def ratios(found: dict[str, Result]) -> Result:
    """How often faster, and what share of the tokens."""
    ours, other = found["ours"], found["transformers"]
    late = found["transformers, asked late"]
    return {
        **{name: ours[name] / other[name] for name in ours if name.endswith("_second")},
        "first_token_after_60": other["append_60_first_token_ms"] / ours["append_60_first_token_ms"],
        "prefilled": ours["talk_prefilled_tokens"] / other["talk_prefilled_tokens"],
        "prefilled_beside_asked_late": ours["talk_prefilled_tokens"] / late["talk_prefilled_tokens"],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    given = _parse(arguments)
    if given.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.cores])
    torch.set_num_threads(given.cores or torch.get_num_threads())
    config = sized(given.config)
    model = random_model(config, getattr(torch, given.dtype), "cpu")
    result: dict[str, Any] = {"config": given.config, "dtype": given.dtype, "machine": _machine()}
    if given.part == "alone":
        measured = asyncio.run(alone(model, given.streams, given.context, given.tokens, given.repeat))
        result["alone"] = measured
        _table({"": measured})
    else:
        measured_both = asyncio.run(beside(model, given.streams, given.page, given.repeat, Talk(given.context)))
        result |= {"beside": measured_both, "page": given.page, "ratios": ratios(measured_both)}
        _table(measured_both)
        _table({"ours / theirs": result["ratios"]})
    if given.output:
        given.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


def _table(columns: dict[str, Result]) -> None:
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    lines = [f"{'':28}" + "".join(f"{title:>26}" for title in columns)]
    for name in names:
        values = (f"{column[name]:26.2f}" if name in column else f"{'':26}" for column in columns.values())
        lines.append(f"{name:28}" + "".join(values))
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _machine() -> dict[str, object]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = platform.processor() or platform.machine()
    return {"processor": name, "cores": cores, "threads": torch.get_num_threads(), "torch": torch.__version__}


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m llm_worker.bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("part", choices=("alone", "beside"))
    parser.add_argument("--config", choices=[*shipped_names(), "mid"], help="default: frontdesk; mid beside another")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--streams", type=int, default=16, help="answers at once (default 16)")
    parser.add_argument("--context", type=int, default=600, help="tokens of a conversation's beginning (default 600)")
    parser.add_argument("--tokens", type=int, default=200, help="of an answer (default 200)")
    parser.add_argument("--repeat", type=int, help="of what is measured (default 15 alone, 2 beside)")
    parser.add_argument("--page", type=int, default=256, help="tokens of a block of theirs (default 256, its own)")
    parser.add_argument("--cores", type=int, default=1, help="processor cores to use (default 1); 0 takes all")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    given = parser.parse_args(arguments)
    given.config = given.config or ("frontdesk" if given.part == "alone" else "mid")
    given.repeat = given.repeat or (15 if given.part == "alone" else 2)
    return given


if __name__ == "__main__":
    sys.exit(main())
