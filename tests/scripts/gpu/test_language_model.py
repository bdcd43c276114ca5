"""The measurement of the full size runs at a small one, goes on where it ended, and counts what it should."""

import json

import pytest

from llm_worker.model.config import shipped_config
from scripts.gpu.language_model import bytes_read, fitting, layer_bytes, main


def test_it_runs_small_and_is_not_measured_twice(tmp_path, capsys):
    output = tmp_path / "result.json"
    sizes = ["--config", "nano", "--streams", "2", "3", "--cached", "40", "--tokens", "4", "--repeat", "1"]
    arguments = [*sizes, "--device", "cpu", "--output", str(output)]
    assert main(arguments) == 0
    found = json.loads(output.read_text())
    assert found["layers"] == found["of_layers"] == 3
    assert found["streams_3"]["tokens_per_second"] > 0
    assert found["first_token_ms"]["worst"] >= found["first_token_ms"]["p50"] > 0
    found["streams_2"] = {"kept": 1}
    del found["streams_3"]
    output.write_text(json.dumps(found))
    capsys.readouterr()
    assert main(arguments) == 0
    again = json.loads(output.read_text())
    assert again["streams_2"] == {"kept": 1}
    assert "tokens_per_second" in again["streams_3"]
    assert "streams_2 " not in capsys.readouterr().out


def test_bytes_are_those_of_the_published_shape():
    full = shipped_config("119b")
    experts, rest = layer_bytes(full)
    assert experts == 128 * 25_165_824
    assert rest == 2 * (28_050_688 - 2 * 4096 - 1024 - 256 + 524_288 + 25_165_824) + 2 * 2 * 4096
    assert bytes_read(full, 1, 0) == pytest.approx(36 * (4 * 25_165_824 + rest) + 2 * 131_072 * 4096)
    assert fitting(full, 150e9).n_layers == 36
    assert fitting(full, 85e9).n_layers == 21
    assert fitting(full, 1e9).n_layers == 1
