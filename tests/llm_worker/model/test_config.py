"""params.json is read strictly; config.json is brought to it."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch

from llm_worker.model.config import ConfigError, load_config, parse_config, shipped_config, shipped_names
from llm_worker.model.files import read_config
from llm_worker.model.hf_config import from_hf
from llm_worker.model.names import entries
from llm_worker.model.positions import Positions, frequencies


def raw(name: str = "nano") -> dict[str, Any]:
    values: dict[str, Any] = json.loads(
        resources.files("llm_worker.model").joinpath("configs", f"{name}.json").read_text("utf-8")
    )
    return values


def put(values: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    *folders, last = path.split(".")
    inner = values
    for folder in folders:
        inner = inner[folder]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return values


def released() -> dict[str, Any]:
    """The text part as the release's config.json has it, misleading magnitudes included."""
    return {
        "model_type": "mistral4",
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "moe_intermediate_size": 2048,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "n_shared_experts": 1,
        "n_routed_experts": 128,
        "routed_scaling_factor": 1.0,
        "kv_lora_rank": 256,
        "q_lora_rank": 1024,
        "qk_rope_head_dim": 64,
        "qk_nope_head_dim": 64,
        "v_head_dim": 128,
        "n_group": 1,
        "topk_group": 1,
        "num_experts_per_tok": 4,
        "first_k_dense_replace": 0,
        "norm_topk_prob": True,
        "hidden_act": "silu",
        "max_position_embeddings": 1048576,
        "rms_norm_eps": 1e-6,
        "vocab_size": 131072,
        "tie_word_embeddings": False,
        "rope_parameters": {
            "type": "yarn",
            "rope_theta": 10000.0,
            "factor": 128.0,
            "original_max_position_embeddings": 8192,
            "beta_fast": 32.0,
            "beta_slow": 1.0,
            "mscale": 1.0,
            "mscale_all_dim": 1.0,
            "llama_4_scaling_beta": 0.1,
        },
    }


def test_the_published_sizes() -> None:
    config = shipped_config("119b")
    assert (config.query_dim, config.latent_dim, config.shared_hidden_dim) == (128, 320, 2048)
    assert config.softmax_scale == pytest.approx(0.0883883, abs=1e-7)
    made = frequencies(config.qk_rope_head_dim, config.rope_theta, config.yarn)
    places = (0, 12, 13, 20, 24, 25, 31)
    wanted = (1.0, 0.03162, 0.02190, 0.001231, 8.413e-5, 5.859e-6, 1.042e-6)
    assert [float(made[place]) for place in places] == pytest.approx(wanted, rel=5e-4)


def test_the_published_temperatures() -> None:
    places = Positions(shipped_config("119b"))(torch.tensor([[0, 8191, 8192, 16384, 131072, 262143]]))
    assert places.temperature.flatten().tolist() == pytest.approx([1, 1, 1.0693, 1.1099, 1.2833, 1.3466], abs=5e-5)
    assert places.rotation.abs().sub(1).abs().max() < 1e-6


def test_every_shipped_configuration_is_one() -> None:
    assert set(shipped_names()) == {"119b", "frontdesk", "nano"}
    desk = shipped_config("frontdesk")
    assert (desk.moe.num_experts, desk.moe.num_experts_per_tok, desk.moe.num_shared_experts) == (16, 4, 1)
    with pytest.raises(ConfigError, match="no configuration 'huge'; there are: 119b, frontdesk, nano"):
        shipped_config("huge")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("dim", None, "dim: Field required"),
        ("colour", 3, "colour: Extra inputs are not permitted"),
        ("moe.num_experts", None, "moe.num_experts: Field required"),
        ("moe.depth", 1, "moe.depth: Extra"),
        ("yarn.apply_scale", None, "yarn.apply_scale: Field required"),
        ("yarn.apply_scale", True, "yarn.apply_scale: Input should be False"),
        ("yarn.alpha", 32.0, "alpha: 32.0 must be less than beta, 32.0"),
        ("llama_4_scaling.beta", "much", "llama_4_scaling.beta"),
        ("n_layers", 2.5, "n_layers"),
        ("norm_eps", 0, "norm_eps"),
        ("tied_embeddings", 1, "tied_embeddings"),
        ("moe.first_k_dense_replace", 1, "moe.first_k_dense_replace: Input should be 0"),
        ("moe.num_expert_groups", 2, "moe.num_expert_groups: Input should be 1"),
        ("moe.num_experts_per_tok", 9, "num_experts_per_tok: 9 of 8 experts"),
        ("moe.use_load_balancing_bias", True, "moe.use_load_balancing_bias: Input should be False"),
        ("activation", "gelu", "activation: Input should be 'silu'"),
        ("n_kv_heads", 2, "n_kv_heads: 2; keys and values have as many heads as queries"),
        ("head_dim", 16, "head_dim: 16; qk_nope_head_dim and qk_rope_head_dim make it 32"),
        ("qk_rope_head_dim", 15, "qk_rope_head_dim: 15 is odd"),
        ("quantization", {"qformat_weight": "int3"}, "quantization.qformat_weight"),
    ],
)
def test_what_is_wrong_is_named(path: str, value: Any, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(put(raw(), path, value), "params.json")
    assert str(error.value).startswith("params.json: ")
    assert words in str(error.value)


def test_all_mistakes_are_named_at_once() -> None:
    values = put(put(raw(), "dim", None), "n_layers", None)
    with pytest.raises(ConfigError, match=r"dim: Field required; n_layers: Field required"):
        parse_config(values, "x")


def test_the_width_of_dense_layers_means_nothing() -> None:
    """Only the speculative head has dense layers."""
    other = parse_config(raw() | {"hidden_dim": 8}, "x")
    assert entries(other) == entries(shipped_config("nano"))


def test_the_other_format_says_the_same() -> None:
    published = shipped_config("119b").model_copy(update={"quantization": None})
    assert from_hf(released(), "x") == published
    around = {"model_type": "mistral3", "text_config": released(), "tie_word_embeddings": False, "dtype": "bfloat16"}
    assert from_hf(around, "x") == published


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("model_type", "mistral", "model_type: 'mistral'; valid: 'mistral4'"),
        ("norm_topk_prob", False, "norm_topk_prob: False; valid: True"),
        ("rope_interleave", False, "rope_interleave: False; valid: True"),
        ("attention_bias", True, "attention_bias: True; valid: False"),
        ("rope_parameters.type", "linear", "rope_parameters.rope_type: 'linear'; valid: 'yarn'"),
        ("hidden_size", None, "dim: Field required"),
        ("n_routed_experts", None, "moe.num_experts: Field required"),
        ("rope_parameters.factor", None, "yarn.factor: Field required"),
    ],
)
def test_what_is_wrong_in_the_other_format(path: str, value: Any, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        from_hf(put(released(), path, value), "config.json")
    assert str(error.value).startswith("config.json: ")
    assert words in str(error.value)


def test_of_two_formats_in_a_folder_the_native_one_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"params\.json.*No such file"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(released()), encoding="utf-8")
    assert read_config(tmp_path).n_layers == 36
    (tmp_path / "params.json").write_text(json.dumps(raw()), encoding="utf-8")
    assert read_config(tmp_path) == shipped_config("nano")


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "params.json")
    (tmp_path / "config.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ConfigError, match="is no object"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="Expecting property name"):
        read_config(tmp_path)
    (tmp_path / "params.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="Expecting property name"):
        read_config(tmp_path)
    (tmp_path / "params.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ConfigError, match="file: Input should be a valid dictionary"):
        read_config(tmp_path)
