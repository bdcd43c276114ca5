"""Names and shapes are those of the release; what `inspect` says of them."""

import math
import re
from pathlib import Path

import pytest
import torch

from llm_worker.inspection import of_checkpoint, of_config, show
from llm_worker.model import checkpoint, names
from llm_worker.model.checkpoint import CHECKPOINT, export
from llm_worker.model.config import Config, ConfigError, shipped_config
from llm_worker.model.names import entries
from tests.llm_worker.model.support import NANO, model

HERE = Path(__file__).parent


def golden(file: str) -> dict[str, str]:
    """Names and shapes; {0..35} stands for every number from the first to the last."""

    def expanded(line: str) -> list[str]:
        if not (found := re.search(r"\{0\.\.(\d+)\}", line)):
            return [line]
        return [
            one
            for number in range(int(found[1]) + 1)
            for one in expanded(line[: found.start()] + str(number) + line[found.end() :])
        ]

    lines = (HERE / file).read_text("utf-8").splitlines()
    return dict(one.split(" ") for line in lines for one in expanded(line))


def write_params(folder: Path, config: Config = NANO) -> None:
    (folder / "params.json").write_text(config.model_dump_json(), encoding="utf-8")


@pytest.mark.parametrize(
    ("layout", "prefix", "file"),
    [
        ("native", "", "mistral_small_4_tensors.txt"),
        ("hf", "language_model.", "mistral_small_4_tensors_hf.txt"),
    ],
)
def test_the_published_tensors(layout: names.Layout, prefix: str, file: str) -> None:
    made = {e.published: "x".join(map(str, e.shape)) for e in entries(shipped_config("119b"), layout, prefix)}
    assert made == golden(file)


def test_the_published_total() -> None:
    lines = of_config("119b")
    tensors = golden("mistral_small_4_tensors.txt")
    assert sorted(lines[:-1]) == sorted(f"{name}  {shape.replace('x', '×')}" for name, shape in tensors.items())
    assert lines[-1] == "14,295 tensors, 118,972,826,624 decoder parameters, 6,632,588,288 active for a token"


def test_another_number_of_layers_has_another_total(tmp_path: Path) -> None:
    """One layer: 3,274,974,464 numbers."""
    fewer = shipped_config("119b").model_copy(update={"n_layers": 35})
    (tmp_path / "params.json").write_text(fewer.model_dump_json(), encoding="utf-8")
    assert f" {118_972_826_624 - 3_274_974_464:,} decoder parameters" in of_config(str(tmp_path / "params.json"))[-1]


@pytest.mark.parametrize("layout", ["native", "hf"])
@pytest.mark.parametrize("tied", [False, True])
def test_every_row_of_the_model_is_published_once(layout: names.Layout, tied: bool) -> None:
    config = NANO.model_copy(update={"tied_embeddings": tied})
    state = {name: torch.zeros_like(tensor) for name, tensor in model(config=config).state_dict().items()}
    for entry in entries(config, layout):
        checkpoint._place(state, entry).add_(1)
    assert all(bool((tensor == 1).all()) for tensor in state.values())


def test_inspecting_a_checkpoint(tmp_path: Path) -> None:
    export(model(), tmp_path / CHECKPOINT, "fp8")
    with pytest.raises(ConfigError, match=r"params\.json"):
        of_checkpoint(tmp_path)
    write_params(tmp_path)
    lines, wrong = of_checkpoint(tmp_path)
    assert wrong == []
    assert "layers.0.experts.0.w1.weight  32×64  F8_E4M3" in lines
    size = (tmp_path / CHECKPOINT).stat().st_size
    assert re.fullmatch(rf"{len(lines) - 1} tensors, [\d,]+ numbers, {size:,} bytes, native names", lines[-1])
    write_params(tmp_path, NANO.model_copy(update={"n_layers": 4}))
    assert of_checkpoint(tmp_path / CHECKPOINT)[1][0] == "layers.3.attention_norm.weight: missing"


def test_inspecting_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(None, "nano")
    numbers = sum(math.prod(entry.shape) for entry in entries(NANO))
    assert f"{numbers:,} decoder parameters" in capsys.readouterr().out
    export(model(), tmp_path / CHECKPOINT)
    write_params(tmp_path, NANO.model_copy(update={"n_layers": 2}))
    with pytest.raises(SystemExit) as ended:
        show(tmp_path, None)
    assert "layers.2.attention_norm.weight: not part of this configuration" in str(ended.value.code)
    for path, config, words in (
        (None, None, "either a path or --config"),
        (tmp_path, "119b", "either a path or --config"),
        (None, "5b", "5b: "),
        (tmp_path / "none.safetensors", None, "No such file"),
    ):
        with pytest.raises(SystemExit, match=words):
            show(path, config)
