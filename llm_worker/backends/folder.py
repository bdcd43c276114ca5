"""What the engine is made of, from a model's folder: `params.json`, the weights, `tekken.json`."""

from pathlib import Path

import torch

from llm_worker.backends.engine import Engine, Plant
from llm_worker.config import LlmSettings
from llm_worker.engine.blocks import Blocks
from llm_worker.engine.graphs import Buckets
from llm_worker.engine.runner import Runner
from llm_worker.engine.scheduler import Load
from llm_worker.messages import Sampling
from llm_worker.model.cache import LatentPool
from llm_worker.model.checkpoint import CheckpointError, load
from llm_worker.model.config import Config, ConfigError
from llm_worker.model.files import read_config
from llm_worker.text.tokenizer import Tekken, TokenizerError
from services.errors import Unavailable

VOCABULARY = "tekken.json"
BLOCK = 16
"""Tokens."""
_BLOCK_ON_GPU = 64


def engine(settings: LlmSettings) -> Engine:
    """Made of the folder that the settings name; nothing is loaded yet. Raises Unavailable with a line for the
    operator."""
    folder = Path(settings.folder)
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        config = read_config(folder)
        tokenizer = Tekken.read(folder / VOCABULARY)
    except (ConfigError, TokenizerError) as error:
        raise Unavailable(f"{error}. TRUNKLINE_LLM_FOLDER names the folder of a model") from None
    if tokenizer.size != config.vocab_size:
        raise Unavailable(f"{folder}: the vocabulary has {tokenizer.size} ids, the model {config.vocab_size}")
    size = BLOCK if device == "cpu" else _BLOCK_ON_GPU
    blocks = Blocks(1 + -(-settings.cache_tokens // size), size)
    limit = min(settings.context_limit or config.max_position_embeddings, config.max_position_embeddings)

    def build() -> Runner:
        return _runner(folder, config, blocks, device, settings, limit)

    sampling = Sampling(temperature=settings.temperature or 0.0, max_tokens=settings.max_tokens)
    load = Load(rows=settings.rows)
    return Engine(Plant(folder.resolve().name, tokenizer, build, blocks, limit, sampling, load))


def _runner(folder: Path, config: Config, blocks: Blocks, device: str, settings: LlmSettings, limit: int) -> Runner:
    """On the engine's thread: the weights in memory, and what can be captured captured."""
    if device == "cpu":
        torch.set_num_threads(settings.threads)
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    try:
        model = load(folder, config, dtype, device)
    except CheckpointError as error:
        raise Unavailable(str(error)) from None
    pool = LatentPool(config, blocks.count, blocks.size, dtype, device)
    room = blocks.capacity * blocks.size
    buckets = None if device == "cpu" else Buckets.up_to(settings.rows, min(limit, room), room)
    runner = Runner(model, pool, buckets)
    runner.warm_up()
    return runner
