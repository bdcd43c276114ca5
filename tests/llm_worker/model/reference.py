"""The same weights in the transformers library, an implementation that is not ours."""

from functools import cache

import torch
from torch import Tensor
from transformers import Mistral4Config, Mistral4ForCausalLM

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
    model = Mistral4ForCausalLM(_config(of.config)).eval()
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


def _config(config: Config) -> Mistral4Config:
    moe, yarn = config.moe, config.yarn
    return Mistral4Config(
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
        attn_implementation="eager",
        experts_implementation="eager",
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


@cache
def wanted(length: int, config: Config = NANO) -> Tensor:
    """The reference's logits [T, vocabulary]."""
    return logits(reference(model(config=config)), tokens(length))[0]


def difference(m: Decoder, states: Tensor, right: Tensor) -> float:
    """The largest, of the logits of states [T, D] from those given."""
    return float((m.logits(states) - right).abs().max())
