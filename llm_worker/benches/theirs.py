"""The same weights in transformers, with its continuous batching and prefix blocks on. A development dependency."""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, cast

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig, Mistral4Config, Mistral4ForCausalLM

from llm_worker.model.config import Config
from llm_worker.model.names import entries
from llm_worker.model.network import Decoder

_PATIENCE = 600.0
_ids = count()


def converted(of: Decoder) -> Any:
    """Its model with our weights, in our dtype, computed the way that is quickest on a CPU."""
    config, state = of.config, of.state_dict()
    dtype = of.embedding.weight.dtype
    model: Any = Mistral4ForCausalLM(config_of(config))
    model = model.to(dtype).eval()
    theirs = {
        entry.published: state[entry.ours][entry.first_row : entry.first_row + entry.shape[0]]
        for entry in entries(config, "hf")
    }
    model.load_state_dict(theirs, strict=True)
    for layer in model.model.layers:
        layer.self_attn.scaling = config.softmax_scale  # it reads a magnitude where the release has none
    return model


@contextmanager
def serving(model: Any, room: int, page: int) -> Iterator["Theirs"]:
    """Its manager, at work. `room`: of the cache, in tokens; `page`: tokens of a block."""
    logging.getLogger("transformers").setLevel(logging.ERROR)
    manager = model.init_continuous_batching(
        generation_config=cast(Any, GenerationConfig)(
            do_sample=False, eos_token_id=-1, pad_token_id=0, max_new_tokens=1
        ),
        continuous_batching_config=ContinuousBatchingConfig(
            allow_block_sharing=True, num_blocks=-(-room // page), page_size=page, max_batch_tokens=1024
        ),
    )
    manager.start()
    try:
        yield Theirs(model, manager)
    finally:
        manager.stop(block=True)


class Theirs:
    """Measures by the clock of whoever waits for tokens."""

    def __init__(self, model: Any, manager: Any) -> None:
        self._manager = manager
        self.computed_tokens = 0
        model.model.embed_tokens.register_forward_hook(self._count)

    def _count(self, _module: object, given: tuple[torch.Tensor], _made: object) -> None:
        self.computed_tokens += given[0].numel()

    async def together(self, prompts: Sequence[Sequence[int]], tokens: int) -> float:
        """Seconds until all of these prompts have an answer of so many tokens."""
        began = time.perf_counter()
        await asyncio.gather(*(self.answer(ids, tokens) for ids in prompts))
        return time.perf_counter() - began

    async def answer(self, ids: Sequence[int], tokens: int) -> tuple[float, list[int]]:
        """Seconds to the first token, and all of them."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[int]] = loop.create_future()
        began, first = time.perf_counter(), 0.0

        def take(result: Any) -> None:
            nonlocal first
            if result.error:
                done.set_exception(RuntimeError(result.error))
            elif result.generated_tokens:
                first = first or time.perf_counter() - began
                if result.is_finished():
                    done.set_result(list(result.generated_tokens))

        name = f"request-{next(_ids)}"
        self._manager.register_result_handler(name, take)
        self._manager.add_request(list(ids), request_id=name, max_new_tokens=tokens, streaming=True)
        said = await asyncio.wait_for(done, _PATIENCE)
        return first, said


class AheadCaller:
    """See `script.Caller`: every change of the history is a request for one token, so that it is computed ahead."""

    def __init__(self, server: Theirs) -> None:
        self._server = server

    async def said(self, ids: Sequence[int]) -> None:
        """See `script.Caller`."""
        await self._server.answer(ids, 1)

    async def answer(self, ids: Sequence[int], tokens: int) -> tuple[float, list[int]]:
        """See `script.Caller`."""
        return await self._server.answer(ids, tokens)


class LateCaller(AheadCaller):
    """Asks when the turn is over, and not before."""

    async def said(self, ids: Sequence[int]) -> None:
        """Nothing."""


def config_of(config: Config, attention: str = "sdpa", experts: str = "grouped_mm") -> Any:
    """The same sizes as `transformers` says them, and how it is to compute them."""
    moe, yarn = config.moe, config.yarn
    return cast(Any, Mistral4Config)(
        vocab_size=config.vocab_size,
        hidden_size=config.dim,
        intermediate_size=config.hidden_dim,
        moe_intermediate_size=moe.expert_hidden_dim,
        num_hidden_layers=config.n_layers,
        num_attention_heads=config.n_heads,
        num_key_value_heads=config.n_kv_heads,
        n_shared_experts=moe.num_shared_experts,
        n_routed_experts=moe.num_experts,
        num_experts_per_tok=moe.num_experts_per_tok,
        routed_scaling_factor=moe.routed_scale,
        kv_lora_rank=config.kv_lora_rank,
        q_lora_rank=config.q_lora_rank,
        qk_rope_head_dim=config.qk_rope_head_dim,
        qk_nope_head_dim=config.qk_nope_head_dim,
        v_head_dim=config.v_head_dim,
        rms_norm_eps=config.norm_eps,
        max_position_embeddings=config.max_position_embeddings,
        tie_word_embeddings=config.tied_embeddings,
        attn_implementation=attention,
        experts_implementation=experts,
        rope_parameters={
            "rope_type": "yarn",
            "type": "yarn",
            "rope_theta": config.rope_theta,
            "factor": yarn.factor,
            "original_max_position_embeddings": yarn.original_max_position_embeddings,
            "max_position_embeddings": config.max_position_embeddings,
            "beta_fast": yarn.beta,
            "beta_slow": yarn.alpha,
            "mscale": 1.0,
            "mscale_all_dim": 1.0,
            "llama_4_scaling_beta": config.llama_4_scaling.beta,
        },
    )
