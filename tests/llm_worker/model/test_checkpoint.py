"""Checkpoints are written, read again, and refused with every difference named."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from llm_worker.model import checkpoint
from llm_worker.model.checkpoint import CHECKPOINT, CheckpointError, differences, export, read_header
from llm_worker.model.config import shipped_config
from llm_worker.model.names import entries
from tests.llm_worker.model.reference import hf_names
from tests.llm_worker.model.support import NANO, loaded, model, native, same


@pytest.mark.parametrize(("store", "error"), [("f32", 0.0), ("bf16", 2**-8), ("fp8", 2**-4), ("int8", 0.5 / 127)])
def test_exported_and_loaded_again(store: checkpoint.Store, error: float, tmp_path: Path) -> None:
    """Errors relative to the number (16 bits, 8 bits of floating point) or to the largest of a row (whole numbers)."""
    made = native(model())
    export(model(), tmp_path / CHECKPOINT, store)
    again = native(loaded(tmp_path))
    for name, right in made.items():
        large = right.abs().amax(-1, keepdim=True) if store == "int8" and right.ndim > 1 else right.abs()
        smallest = float(right.abs().max()) / 448 * 2**-7 if store == "fp8" else 0.0
        limit = max(error, 2**-8 if store != "f32" else 0.0) if "gate.weight" in name or right.ndim == 1 else error
        assert ((again[name] - right).abs() <= large * limit * 1.001 + smallest).all(), name


def test_whole_numbers_are_stored_in_a_byte_each(tmp_path: Path) -> None:
    """Written again, they are the same to the bit: what was trained for them stays as it is."""
    export(model(), tmp_path / "one.safetensors", "int8")
    export(loaded(tmp_path / "one.safetensors"), tmp_path / "two.safetensors", "int8")
    one, two = load_file(tmp_path / "one.safetensors"), load_file(tmp_path / "two.safetensors")
    assert all(torch.equal(one[name], two[name]) for name in one if one[name].dtype == torch.int8)
    types = read_header(tmp_path / "one.safetensors").types
    assert types["layers.0.experts.3.w1.weight"] == types["tok_embeddings.weight"] == "I8"
    assert types["layers.0.gate.weight"] == types["norm.weight"] == "BF16"


def test_the_front_desk_fits_into_what_may_be_shipped() -> None:
    """A byte a number in matrices, four a row for its scale, two a number in what is left."""
    wanted = entries(shipped_config("frontdesk"))
    small = [entry for entry in wanted if entry.linear or entry.table]
    size = sum(math.prod(entry.shape) + 4 * entry.shape[0] for entry in small)
    size += sum(2 * math.prod(entry.shape) for entry in wanted if not (entry.linear or entry.table))
    assert 12_000_000 < size < 14_000_000


def test_every_difference_is_named(tmp_path: Path) -> None:
    export(model(), tmp_path / CHECKPOINT, "fp8")
    tensors = dict(load_file(tmp_path / CHECKPOINT))
    del tensors["layers.0.attention.wo.weight"], tensors["layers.0.experts.1.w2.qscale_weight"]
    tensors["layers.1.attention.wq_a.weight"] = torch.zeros(3, 5)
    tensors["layers.1.gate.weight"] = tensors["layers.1.gate.weight"].to(torch.float8_e4m3fn)
    tensors["norm.weight"] = torch.zeros(64, dtype=torch.int32)
    tensors["layers.9.norm"] = torch.zeros(1)
    tensors["vision_encoder.patch.weight"] = torch.zeros(3, 4)
    tensors["layers.2.experts.0.w1.qscale_weight"] = torch.zeros(2)
    save_file(tensors, tmp_path / CHECKPOINT)
    assert set(differences(read_header(tmp_path), NANO)) == {
        "layers.0.attention.wo.weight: missing",
        "layers.0.attention.wo.qscale_weight: not part of this configuration",
        "layers.0.experts.1.w2.qscale_weight: missing",
        "layers.1.attention.wq_a.weight: is [3, 5], should be [32, 64]",
        "layers.1.attention.wq_a.qscale_weight: not part of this configuration",
        "layers.1.gate.weight: has type F8_E4M3; valid: BF16, F16, F32",
        "norm.weight: has type I32; valid: BF16, F16, F32",
        "layers.9.norm: not part of this configuration",
        "layers.2.experts.0.w1.qscale_weight: is [2], should be [] or [1]",
    }
    with pytest.raises(CheckpointError, match=r"does not fit its configuration:\n(.*\n){8}"):
        loaded(tmp_path)


def test_a_refused_file_costs_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(model(), tmp_path / CHECKPOINT)
    other = NANO.model_copy(update={"n_layers": 4})
    monkeypatch.setattr(checkpoint, "build", lambda *arguments: pytest.fail("was built"))
    with pytest.raises(CheckpointError, match=r"layers\.3\.attention_norm\.weight: missing\n(.*\n)*… and 17 more"):
        loaded(tmp_path, other)


@pytest.mark.parametrize("names_of", ["native", "hf"])
def test_what_sees_images_is_skipped(names_of: str, tmp_path: Path) -> None:
    tensors = native(model())
    if names_of == "native":
        tensors |= {f"{part}.weight": torch.zeros(2) for part in ("vision_encoder.x", "patch_merger.y")}
        tensors |= {
            "pre_mm_projector_norm.weight": torch.zeros(2),
            "vision_language_adapter.w_in.weight": torch.zeros(2),
        }
    else:
        tensors = {f"language_model.{name}": tensor for name, tensor in hf_names(tensors, NANO).items()}
        tensors |= {f"{part}.weight": torch.zeros(2) for part in ("vision_tower.x", "multi_modal_projector.y")}
    save_file(tensors, tmp_path / CHECKPOINT)
    assert len(read_header(tmp_path).skipped) == (4 if names_of == "native" else 2)
    assert same(loaded(tmp_path), model())


def test_shards(tmp_path: Path) -> None:
    tensors = list(native(model()).items())
    for number, part in enumerate((tensors[:40], tensors[40:]), start=1):
        save_file(dict(part), tmp_path / f"consolidated-{number:05}-of-00002.safetensors")
    assert same(loaded(tmp_path), model())
    save_file(dict(tensors[:1]), tmp_path / "consolidated-00003-of-00003.safetensors")
    with pytest.raises(CheckpointError, match=r"tok_embeddings.weight is in consolidated-00001-of-00002\S+ as well"):
        loaded(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no tensors here", b"\xff" * 64])
def test_files_that_are_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"m\.safetensors"):
        read_header(tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match="No such file"):
        read_header(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="holds neither consolidated"):
        read_header(tmp_path)
