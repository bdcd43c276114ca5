"""What is stored in 16, 8 and 4 bits, in both layouts, is loaded as what it stands for; and deliberate mistakes, each
of which these checks must see."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from llm_worker.model import checkpoint, quantised
from llm_worker.model.checkpoint import CHECKPOINT, CheckpointError
from llm_worker.model.config import Config, parse_config
from tests.llm_worker.model.reference import hf_names
from tests.llm_worker.model.support import NANO, loaded, model, native, same

FP8 = torch.float8_e4m3fn
MATRIX = re.compile(r"\.(wq_a|wq_b|wkv_a_with_mqa|wkv_b|wo|w1|w2|w3)\.weight$")


def in_fp8(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """As published: each matrix with a scale of its own, router and tables as they are; scales of activations too."""
    made: dict[str, Tensor] = {}
    for index, (name, tensor) in enumerate(tensors.items()):
        if MATRIX.search(name):
            scale = tensor.abs().max() / 448 * (1 + index % 3)
            made[name] = (tensor / scale).to(FP8)
            made[name.replace(".weight", ".qscale_weight")] = scale
            made[name.replace(".weight", ".qscale_act")] = torch.tensor(3.0)
        else:
            made[name] = tensor
    return made


def multiplied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """What those stand for."""
    return {
        name: tensor.float() * tensors[name.replace(".weight", ".qscale_weight")] if tensor.dtype == FP8 else tensor
        for name, tensor in tensors.items()
        if "qscale" not in name
    }


def in_hf_fp8(tensors: dict[str, Tensor], config: Config) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Full names as published, experts with scales [E, 1, 1]; and what they stand for by text-only names."""
    made: dict[str, Tensor] = {}
    meant: dict[str, Tensor] = {}
    for name, tensor in hf_names(tensors, config).items():
        full = f"language_model.{name}"
        if name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            scale = tensor.abs().amax((1, 2), keepdim=True) / 448
            made[full], made[f"{full}_scale_inv"] = (tensor / scale).to(FP8), scale
            made[f"{full}_activation_scale"] = torch.ones(len(tensor))
        elif name.endswith(("_proj.weight", "_mqa.weight")):
            scale = tensor.abs().max() / 448
            made[full] = (tensor / scale).to(FP8)
            made[full.replace(".weight", ".weight_scale_inv")] = scale
            made[full.replace(".weight", ".activation_scale")] = torch.tensor(1.0)
        else:
            made[full] = tensor
            meant[name] = tensor
            continue
        meant[name] = made[full].float() * scale
    return made, meant


def in_nvfp4(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Experts in 4 bits, made of random codes; and what they stand for."""
    values = (0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6)
    generator = torch.Generator().manual_seed(0)
    made, meant = {}, dict(tensors)
    for name, tensor in tensors.items():
        if "experts" not in name:
            made[name] = tensor
            continue
        rows, columns = tensor.shape
        codes = torch.randint(16, (rows, columns), generator=generator)
        scales = torch.rand((rows, columns // 16), generator=generator).to(FP8)
        over = torch.tensor([7.0])
        stem = name.removesuffix(".weight")
        made[f"{stem}.weight_packed"] = (codes[:, ::2] + 16 * codes[:, 1::2]).to(torch.uint8)
        made[f"{stem}.weight_scale"], made[f"{stem}.weight_global_scale"] = scales, over
        made[f"{stem}.input_global_scale"] = torch.tensor([1.0])
        plain = [
            [values[code] * float(scales[r, c // 16]) / 7.0 for c, code in enumerate(row)]
            for r, row in enumerate(codes.tolist())
        ]
        meant[name] = torch.tensor(plain)
    return made, meant


SMALL = parse_config(
    NANO.model_dump() | {"n_layers": 1, "moe": NANO.moe.model_dump() | {"num_experts": 2}}, "two experts"
)


def plain_agrees(folder: Path) -> bool:
    save_file(native(model()), folder / CHECKPOINT)
    return same(loaded(folder), model())


def hf_agrees(folder: Path) -> bool:
    """Through the names that the reference model takes, which the parity of logits holds."""
    tensors = native(model())
    save_file(hf_names(tensors, NANO), folder / "model.safetensors")
    made = loaded(folder)
    return native(made).keys() == tensors.keys() and same(made, model())


def fp8_agrees(folder: Path) -> bool:
    tensors = in_fp8(native(model()))
    save_file(tensors, folder / CHECKPOINT)
    made = native(loaded(folder))
    return all(torch.allclose(made[name], right, rtol=1e-6) for name, right in multiplied(tensors).items())


def hf_fp8_agrees(folder: Path) -> bool:
    tensors, meant = in_hf_fp8(native(model()), NANO)
    save_file(tensors, folder / "model-00001-of-00001.safetensors")
    made = hf_names(native(loaded(folder)), NANO)
    return all(torch.allclose(made[name], right, rtol=1e-6) for name, right in meant.items())


def nvfp4_agrees(folder: Path) -> bool:
    tensors, meant = in_nvfp4(native(model(config=SMALL)))
    save_file(tensors, folder / CHECKPOINT)
    made = native(loaded(folder, SMALL))
    return all(torch.allclose(made[name], right, rtol=1e-5) for name, right in meant.items())


def one_format_is_loaded(folder: Path) -> bool:
    """Both are there, with other weights in the one that is not meant."""
    save_file(native(model()), folder / CHECKPOINT)
    save_file(hf_names(native(model(seed=2)), NANO), folder / "model.safetensors")
    return same(loaded(folder), model())


CHECKS = (plain_agrees, hf_agrees, fp8_agrees, hf_fp8_agrees, nvfp4_agrees, one_format_is_loaded)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_is_loaded_is_what_was_stored(check: Callable[[Path], bool], tmp_path: Path) -> None:
    assert check(tmp_path)


Patch = pytest.MonkeyPatch


def scales_divide(patch: Patch) -> None:
    patch.setattr(checkpoint, "from_fp8", lambda weights, scale: weights.float() / scale)


def one_scale_for_all_experts(patch: Patch) -> None:
    right = quantised.from_fp8
    patch.setattr(checkpoint, "from_fp8", lambda weights, scale: right(weights, scale.flatten()[0]))


def global_scale_multiplies(patch: Patch) -> None:
    right = quantised.from_nvfp4
    patch.setattr(checkpoint, "from_nvfp4", lambda packed, scales, over: right(packed, scales, 1 / over))


def odd_column_first(patch: Patch) -> None:
    right = quantised.from_nvfp4
    patch.setattr(
        checkpoint,
        "from_nvfp4",
        lambda packed, scales, over: right((packed >> 4) | ((packed & 0xF) << 4), scales, over),
    )


def up_before_gate(patch: Patch) -> None:
    """In the fused matrix of the other layout, or of what makes it from the native one: they no longer agree."""
    right = hf_names

    def swapped(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
        made = right(tensors, config)
        for name in made:
            if name.endswith("gate_up_proj"):
                made[name] = made[name].roll(config.moe.expert_hidden_dim, dims=1)
        return made

    patch.setitem(globals(), "hf_names", swapped)


def both_formats_read(patch: Patch) -> None:
    patch.setattr(checkpoint, "_PATTERNS", ("*.safetensors",))


def the_other_format_preferred(patch: Patch) -> None:
    patch.setattr(checkpoint, "_PATTERNS", tuple(reversed(checkpoint._PATTERNS)))


MISTAKES = (
    (scales_divide, fp8_agrees),
    (scales_divide, hf_fp8_agrees),
    (one_scale_for_all_experts, hf_fp8_agrees),
    (global_scale_multiplies, nvfp4_agrees),
    (odd_column_first, nvfp4_agrees),
    (up_before_gate, hf_agrees),
    (both_formats_read, one_format_is_loaded),
    (the_other_format_preferred, one_format_is_loaded),
)


@pytest.mark.parametrize(("mistake", "check"), MISTAKES, ids=lambda value: value.__name__)
def test_a_mistake_is_seen(
    mistake: Callable[[Patch], None], check: Callable[[Path], bool], monkeypatch: Patch, tmp_path: Path
) -> None:
    mistake(monkeypatch)
    try:
        agreed = check(tmp_path)
    except CheckpointError:
        agreed = False
    assert not agreed
