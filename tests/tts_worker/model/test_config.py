"""params.json is read strictly."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tts_worker.model.config import ConfigError, load_config, parse_config, shipped_config, shipped_names


def raw(name: str = "nano") -> dict[str, Any]:
    values: dict[str, Any] = json.loads(
        resources.files("tts_worker.model").joinpath("configs", f"{name}.json").read_text("utf-8")
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


AUDIO, CODEC = "multimodal.audio_model_args", "multimodal.audio_tokenizer_args"


def test_the_published_sizes() -> None:
    config = shipped_config("4b")
    audio, codec = config.audio, config.codec
    assert (audio.semantic_rows, audio.embedding_rows, audio.codebooks) == (8320, 9088, 37)
    assert (audio.offsets[0], audio.offsets[1], audio.offsets[2], audio.offsets[36]) == (0, 8194, 8217, 8999)
    assert (config.flow.n_decoding_steps, config.flow.norm_eps) == (7, 1e-5)
    assert [(s.kernel, s.stride, s.layers, s.window) for s in codec.decoder_stages] == [
        (3, 1, 2, 2), (4, 2, 2, 4), (4, 2, 2, 8), (4, 2, 2, 16)
    ]  # fmt: skip
    assert [(s.kernel, s.stride, s.layers, s.window) for s in codec.encoder_stages] == [
        (4, 2, 2, 16), (4, 2, 2, 8), (4, 2, 2, 4), (3, 1, 2, 2)
    ]  # fmt: skip
    assert (codec.frame, codec.latent, config.frame_seconds, len(codec.voice)) == (1920, 292, 0.08, 20)


def test_every_shipped_configuration_is_one() -> None:
    assert set(shipped_names()) == {"4b", "micro", "nano"}
    for name in shipped_names():
        assert shipped_config(name).frame_seconds == 0.08
    with pytest.raises(ConfigError, match="no configuration 'huge'; there are: 4b, micro, nano"):
        shipped_config("huge")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("dim", None, "dim: Field required"),
        ("colour", 3, "colour: Extra inputs are not permitted"),
        (f"{AUDIO}.audio_encoding_args.frame_rate", None, "audio_encoding_args.frame_rate: Field required"),
        (f"{AUDIO}.acoustic_transformer_args.depth", 1, "acoustic_transformer_args.depth: Extra"),
        (f"{CODEC}.norm_eps", "small", "audio_tokenizer_args.norm_eps"),
        ("n_layers", 2.5, "n_layers"),
        ("use_biases", True, "use_biases"),
        ("model_type", "mistral", "model_type"),
        ("n_kv_heads", 3, "n_heads: 4 is no multiple of n_kv_heads, 3"),
        ("head_dim", 7, "head_dim: 7 is odd"),
        (f"{AUDIO}.acoustic_transformer_args.dim", 64, "must be the backbone's dim, 32"),
        (f"{AUDIO}.semantic_codebook_size", 41, "semantic_codebook_size: 41 in one place, 40 by another"),
        (f"{AUDIO}.audio_encoding_args.num_codebooks", 5, "num_codebooks: 5 in one place, 4 by another"),
        (f"{AUDIO}.audio_encoding_args.frame_rate", 25.0, "frame_rate: 25.0 in one place, 12.5 by another"),
        (f"{AUDIO}.audio_encoding_args.codebook_pattern", "delay", "codebook_pattern"),
        (f"{CODEC}.decoder_convs_strides_str", "1,2,3,2", "strides are 1 or 2"),
        (f"{CODEC}.decoder_convs_strides_str", "1,2,2", "not equally many"),
        (f"{CODEC}.decoder_convs_kernels_str", "3,4,four,4", "no list of numbers"),
        (f"{CODEC}.encoder_convs_strides_str", "2,2,1,1", "another factor"),
        (f"{CODEC}.attn_sliding_window_size", 8, "attn_sliding_window_size: 8; at least 16"),
        (f"{CODEC}.n_heads", 1, "heads fill its width"),
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


def test_sizes_of_codebooks_in_one_string() -> None:
    values = raw()
    audio = values["multimodal"]["audio_model_args"]
    for name in ("semantic_codebook_size", "acoustic_codebook_size", "n_acoustic_codebook"):
        del audio[name]
    audio["codebook_sizes"] = "40,5,5,5"
    assert parse_config(values, "x") == shipped_config("nano")
    audio["codebook_sizes"] = "40,5,6,5"
    with pytest.raises(ConfigError, match="equal acoustic sizes"):
        parse_config(values, "x")


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "params.json")
    (tmp_path / "params.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="Expecting property name"):
        load_config(tmp_path / "params.json")
    (tmp_path / "params.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ConfigError, match="file: Input should be a valid dictionary"):
        load_config(tmp_path / "params.json")
