"""Checkpoints: the published layout, strictly, both ways."""

import json
import math
from importlib import resources
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tts_worker.model.support import LENGTH, NANO, model
from tts_worker.inspection import expected, of_checkpoint, of_config, show
from tts_worker.model.checkpoint import CheckpointError, differences, export, load, read_header
from tts_worker.model.config import ConfigError, shipped_config
from tts_worker.model.names import entries
from tts_worker.model.network import build

GOLDEN = Path(__file__).with_name("voxtral_4b_tensors.txt")
"""The published file's tensors, written from its description."""


def test_the_published_checkpoint() -> None:
    published = dict(line.split() for line in GOLDEN.read_text("utf-8").splitlines())
    header = expected(shipped_config("4b"))
    assert {name: "x".join(map(str, shape)) for name, shape in header.shapes.items()} == published
    assert (len(published), header.elements) == (386, 4_002_353_392)


def test_inspecting_a_configuration_builds_it_without_memory() -> None:
    lines = of_config("4b")
    assert lines[-1] == "386 tensors, 4,002,353,392 numbers, without the codec's encoder"
    assert "acoustic_transformer.semantic_codebook_output.weight  8320×3072  BF16" in lines


def test_another_depth_gives_other_totals() -> None:
    config = shipped_config("4b")
    header = expected(config.model_copy(update={"n_layers": 25}))
    layer = 3072 * (4096 * 2 + 1024 * 2 + 9216 * 3 + 2)
    assert (len(header.shapes), header.elements) == (377, 4_002_353_392 - layer)


def test_the_encoder_has_114_tensors() -> None:
    config = shipped_config("4b")
    assert len(entries(config, encoder=True)) - len(entries(config, encoder=False)) == 114


@pytest.mark.parametrize("name", ["nano", "micro", "4b"])
@pytest.mark.parametrize("encoder", [False, True])
def test_every_row_of_the_model_is_published_once(name: str, encoder: bool) -> None:
    config = shipped_config(name)
    state = build(config, 8, encoder, torch.bfloat16, "meta").state_dict()
    rows: dict[str, list[int]] = {key: [] for key in state}
    for entry in entries(config, encoder):
        rows[entry.ours] += range(entry.first_row, entry.first_row + entry.shape[0])
        assert tuple(state[entry.ours].shape[1:]) == entry.shape[1:]
    assert {key: sorted(value) for key, value in rows.items()} == {
        key: list(range(len(tensor))) for key, tensor in state.items()
    }


def test_micro_is_small() -> None:
    config = shipped_config("micro")
    assert 8e6 < expected(config).elements < 28e6  # a byte each


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_exported_is_loaded(tmp_path: Path, dtype: torch.dtype) -> None:
    made = model()
    export(made, tmp_path / "m.safetensors", dtype)
    again = load(tmp_path / "m.safetensors", NANO, LENGTH, torch.float32, "cpu")
    for (name, mine), theirs in zip(made.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(mine.to(dtype).float(), theirs), name
    for (name, mine), (_, theirs) in zip(made.named_buffers(), again.named_buffers(), strict=True):
        if "quantiser" not in name:
            assert torch.equal(mine, theirs), name  # computed, not stored


def test_weights_get_the_type_asked_for_and_tables_stay_exact(tmp_path: Path) -> None:
    export(model(), tmp_path / "m.safetensors")
    made = load(tmp_path / "m.safetensors", NANO, LENGTH, torch.bfloat16, "cpu")
    assert {p.dtype for p in made.parameters()} == {torch.bfloat16}
    assert {b.dtype for b in made.buffers() if b.is_floating_point()} == {torch.float32}


def test_every_difference_is_named_before_anything_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.safetensors"
    export(model(), path)
    tensors = load_file(path)
    del tensors["norm.weight"]
    tensors["layers.0.attention.wq.weight"] = torch.zeros(3, 4)
    tensors["layers.7.attention_norm.weight"] = torch.zeros(32)
    tensors["acoustic_transformer.norm.weight"] = torch.zeros(32, dtype=torch.int32)
    save_file(tensors, path)
    monkeypatch.setattr("tts_worker.model.checkpoint.build", lambda *_: pytest.fail("built"))
    with pytest.raises(CheckpointError) as error:
        load(path, NANO, LENGTH, torch.float32, "cpu")
    for line in (
        "norm.weight: missing",
        "layers.0.attention.wq.weight: is [3, 4], should be [32, 32]",
        "layers.7.attention_norm.weight: not part of this configuration",
        "acoustic_transformer.norm.weight: has type I32; valid: BF16, F16, F32",
    ):
        assert line in str(error.value).splitlines()


def test_many_differences_are_counted(tmp_path: Path) -> None:
    export(model(), tmp_path / "m.safetensors")
    header = read_header(tmp_path / "m.safetensors")
    wrong = len(differences(header, shipped_config("micro")))
    with pytest.raises(CheckpointError, match=f"and {wrong - 20} more"):
        load(tmp_path / "m.safetensors", shipped_config("micro"), LENGTH, torch.float32, "cpu")


def test_a_file_without_encoder_has_none(tmp_path: Path) -> None:
    made = model()
    made.encoder = None
    export(made, tmp_path / "m.safetensors")
    assert not read_header(tmp_path / "m.safetensors").encoder
    assert load(tmp_path / "m.safetensors", NANO, LENGTH, torch.float32, "cpu").encoder is None


@pytest.mark.parametrize("content", [b"", b"no tensors here", b"\xff" * 64])
def test_files_that_are_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"m\.safetensors"):
        read_header(tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match="No such file"):
        read_header(tmp_path / "none.safetensors")


def test_a_folded_model_is_not_exported(tmp_path: Path) -> None:
    made = model()
    made.decoder.fold()
    with pytest.raises(ValueError, match="was folded"):
        export(made, tmp_path / "m.safetensors")


def test_inspecting_a_checkpoint(tmp_path: Path) -> None:
    export(model(), tmp_path / "consolidated.safetensors")
    nano = resources.files("tts_worker.model").joinpath("configs", "nano.json").read_text("utf-8")
    with pytest.raises(ConfigError, match=r"params\.json"):
        of_checkpoint(tmp_path)
    (tmp_path / "params.json").write_text(nano, encoding="utf-8")
    lines, wrong = of_checkpoint(tmp_path)
    numbers = sum(math.prod(entry.shape) for entry in entries(NANO, encoder=True))
    assert lines[-1] == f"{len(lines) - 1} tensors, {numbers:,} numbers, with the codec's encoder"
    assert wrong == []
    (tmp_path / "params.json").write_text(json.dumps(json.loads(nano) | {"n_layers": 3}), encoding="utf-8")
    assert of_checkpoint(tmp_path / "consolidated.safetensors")[1][0] == "layers.2.attention_norm.weight: missing"


def test_inspecting_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(None, "4b")
    assert capsys.readouterr().out.endswith("386 tensors, 4,002,353,392 numbers, without the codec's encoder\n")
    nano = resources.files("tts_worker.model").joinpath("configs", "nano.json").read_text("utf-8")
    (tmp_path / "params.json").write_text(json.dumps(json.loads(nano) | {"n_layers": 1}), encoding="utf-8")
    export(model(), tmp_path / "consolidated.safetensors")
    with pytest.raises(SystemExit) as ended:
        show(tmp_path, None)
    assert "layers.1.attention_norm.weight: not part of this configuration" in str(ended.value.code)
    for path, config, words in (
        (None, None, "either a path or --config"),
        (tmp_path, "4b", "either a path or --config"),
        (None, "5b", "5b: "),
        (tmp_path / "none.safetensors", None, "No such file"),
    ):
        with pytest.raises(SystemExit, match=words):
            show(path, config)
