"""The same weights in the transformers library, an implementation that is not ours."""

from functools import cache

import torch
from torch import Tensor
from transformers import Mistral4ForCausalLM

from llm_worker.benches.theirs import config_of
from llm_worker.model.config import Config
from llm_worker.model.network import Decoder
from tests.llm_worker.model.support import NANO, model, native, tokens

TOLERANCE = 1e-5

_HF = {
    "attention_norm": "input_layernorm",
    "attention.wq_a": "self_attn.q_a_proj",
    "attention.q_a_norm": "self_attn.q_a_layernorm",
    "attention.wq_b": "self_attn.q_b_proj",
    "attention.wkv_a_with_mqa": "self_attn.kv_a_proj_with_mqa",
    "attention.kv_a_norm": "self_attn.kv_a_layernorm",
    "attention.wkv_b": "self_attn.kv_b_proj",
    "attention.wo": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "gate": "mlp.gate",
    "shared_experts.w1": "mlp.shared_experts.gate_proj",
    "shared_experts.w3": "mlp.shared_experts.up_proj",
    "shared_experts.w2": "mlp.shared_experts.down_proj",
}


def hf_names(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Tensors by native names → by those of a text-only file in the other layout; written down a second time here."""
    made = {"model.embed_tokens.weight": tensors["tok_embeddings.weight"], "model.norm.weight": tensors["norm.weight"]}
    made["lm_head.weight"] = tensors["tok_embeddings.weight" if config.tied_embeddings else "output.weight"]
    for index in range(config.n_layers):
        theirs, layer = f"model.layers.{index}", f"layers.{index}"
        for name, other in _HF.items():
            made[f"{theirs}.{other}.weight"] = tensors[f"{layer}.{name}.weight"]
        w1, w2, w3 = (
            torch.stack([tensors[f"{layer}.experts.{e}.{w}.weight"] for e in range(config.moe.num_experts)])
            for w in ("w1", "w2", "w3")
        )
        made[f"{theirs}.mlp.experts.gate_up_proj"] = torch.cat((w1, w3), dim=1)
        made[f"{theirs}.mlp.experts.down_proj"] = w2
    return made


def reference(of: Decoder) -> Mistral4ForCausalLM:
    """Its model with our weights, by way of their native names."""
    model = Mistral4ForCausalLM(config_of(of.config, "eager", "eager")).eval()
    model.load_state_dict(hf_names(native(of), of.config), strict=True)
    for layer in model.model.layers:
        # It reads a magnitude out of mscale_all_dim, which the release was not trained with.
        layer.self_attn.scaling = of.config.query_dim**-0.5
    return model


@torch.inference_mode()
def logits(model: Mistral4ForCausalLM, ids: Tensor) -> Tensor:
    """[B, T, vocabulary] of sequences from position 0."""
    made: Tensor = model(ids, use_cache=False).logits
    return made


@cache
def wanted(length: int, config: Config = NANO) -> Tensor:
    """The reference's logits [T, vocabulary]."""
    return logits(reference(model(config=config)), tokens(length))[0]


def difference(m: Decoder, states: Tensor, right: Tensor) -> float:
    """The largest, of the logits of states [T, D] from those given."""
    return float((m.logits(states) - right).abs().max())
