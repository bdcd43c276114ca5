"""python -m llm_worker.benches.experts: which form of experts is the quickest, by tokens of a decode step.

Random weights, float32, one thread; processor time and not time, so that other work on the machine disturbs less.
"""

import argparse
import sys
import time

import torch

from llm_worker.model.cache import Batch, LatentPool
from llm_worker.model.config import Config, shipped_config
from llm_worker.model.experts import ExpertForm
from llm_worker.model.network import Decoder, build, randomise

TOKENS = (1, 2, 4, 8, 16)
FORMS: tuple[ExpertForm, ...] = ("loop", "gathered", "grouped")
CONTEXT, BLOCK = 600, 16


def decode_step(config: Config, rows: int) -> Batch:
    """One token each of `rows` sequences, with CONTEXT tokens before it."""
    slots = BLOCK + torch.arange(rows * (CONTEXT + 1)).view(rows, -1)
    ids = torch.randint(config.vocab_size, (rows, 1))
    positions = torch.full((rows, 1), CONTEXT)
    return Batch(ids, positions, slots[:, CONTEXT:], slots, torch.full((rows,), CONTEXT + 1))


@torch.inference_mode()
def milliseconds(model: Decoder, form: ExpertForm, rows: int, runs: int) -> float:
    """Processor time of a step with its logits, the tenth percentile."""
    model.expert_form = form
    pool = LatentPool(model.config, 2 + rows * (CONTEXT + 1) // BLOCK, BLOCK, torch.float32, "cpu")
    batch = decode_step(model.config, rows)
    taken = []
    for _ in range(runs):
        begun = time.thread_time()
        model.logits(model(batch, pool, "absorbed")[:, -1])
        taken.append(time.thread_time() - begun)
    return sorted(taken)[runs // 10] * 1000


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m llm_worker.benches.experts", description=__doc__)
    parser.add_argument("--config", default="frontdesk", help="a shipped configuration (default: frontdesk)")
    parser.add_argument("--runs", type=int, default=60, help="steps for each figure (default: 60)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = build(shipped_config(arguments.config), torch.float32, "cpu")
    randomise(model, seed=1)
    sys.stdout.write("tokens    " + "".join(f"{tokens:>8}" for tokens in TOKENS) + "\n")
    for form in FORMS:
        line = "".join(f"{milliseconds(model, form, tokens, arguments.runs):8.1f}" for tokens in TOKENS)
        sys.stdout.write(f"{form:<10}{line}  ms\n")


if __name__ == "__main__":
    main()
