"""`config.json` of Hugging Face → `params.json`. PURE.

Its `mscale` and `mscale_all_dim` are not taken over: the release was trained without magnitude, as its `params.json`
says, and a reader who believes them scales every softmax by 2.2.
"""

from collections.abc import Mapping
from typing import Any

from llm_worker.model.config import Config, ConfigError, parse_config

_SAME = {
    "dim": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "hidden_dim": "intermediate_size",
    "q_lora_rank": "q_lora_rank",
    "kv_lora_rank": "kv_lora_rank",
    "qk_nope_head_dim": "qk_nope_head_dim",
    "qk_rope_head_dim": "qk_rope_head_dim",
    "v_head_dim": "v_head_dim",
    "norm_eps": "rms_norm_eps",
    "vocab_size": "vocab_size",
    "max_position_embeddings": "max_position_embeddings",
    "activation": "hidden_act",
}
_EXPERTS = {
    "num_experts": "n_routed_experts",
    "num_experts_per_tok": "num_experts_per_tok",
    "expert_hidden_dim": "moe_intermediate_size",
    "num_shared_experts": "n_shared_experts",
    "routed_scale": "routed_scaling_factor",
    "first_k_dense_replace": "first_k_dense_replace",
    "num_expert_groups": "n_group",
    "num_expert_groups_per_tok": "topk_group",
}
_YARN = {
    "factor": "factor",
    "original_max_position_embeddings": "original_max_position_embeddings",
    "beta": "beta_fast",
    "alpha": "beta_slow",
}
_ONLY = {"norm_topk_prob": True, "rope_interleave": True, "attention_bias": False}
"""What the code does one way; where the file says nothing, that is what its classes take for given."""


def from_hf(values: Mapping[str, Any], source: str) -> Config:
    """The configuration that a `config.json` describes, of text alone or with vision around it. Raises ConfigError."""
    text: Mapping[str, Any] = values.get("text_config", values)
    rope = text.get("rope_parameters") or {}
    wrong = (
        [f"model_type: {text.get('model_type')!r}; valid: 'mistral4'"] if text.get("model_type") != "mistral4" else []
    )
    wrong += [f"{name}: {text[name]!r}; valid: {only}" for name, only in _ONLY.items() if text.get(name, only) != only]
    if (kind := rope.get("rope_type", rope.get("type"))) != "yarn":
        wrong.append(f"rope_parameters.rope_type: {kind!r}; valid: 'yarn'")
    if wrong:
        raise ConfigError(f"{source}: {'; '.join(wrong)}")
    native = _taken(text, _SAME) | {
        "tied_embeddings": values.get("tie_word_embeddings", text.get("tie_word_embeddings", False)),
        "moe": _taken(text, _EXPERTS),
        "yarn": _taken(rope, _YARN) | {"apply_scale": False},
        "llama_4_scaling": _taken(
            rope,
            {"original_max_position_embeddings": "original_max_position_embeddings", "beta": "llama_4_scaling_beta"},
        ),
    }
    native |= _taken(rope, {"rope_theta": "rope_theta"})
    if {"qk_nope_head_dim", "qk_rope_head_dim"} <= native.keys():
        native["head_dim"] = native["qk_nope_head_dim"] + native["qk_rope_head_dim"]
    return parse_config(native, source)


def _taken(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {ours: values[theirs] for ours, theirs in names.items() if theirs in values}
