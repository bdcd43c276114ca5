"""The benchmark and the GPU's script run, at small size: numbers are not judged here."""

import json
from pathlib import Path

import pytest

from scripts.gpu import speech
from tts_worker.bench.__main__ import main


def test_streams_are_measured_and_not_measured_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "speech.json"
    options = ["--config", "nano", "--device", "cpu", "--seconds", "1", "--output", str(output)]
    main([*options, "--streams", "1,3"])
    found = json.loads(output.read_text("utf-8"))
    assert [row["load"]["streams"] for row in found["rows"]] == [1, 3]
    assert found["run"]["config"] == "nano"
    for row in found["rows"]:
        assert row["load"]["measured"] == 8
        assert 0 < row["load"]["first_audio_p50"] <= row["load"]["first_audio_p95"]
        assert 0 < row["load"]["real_time_factor"] <= row["load"]["real_time_factor_worst"]
        assert min(row["parts"].values()) > 0
    before = output.read_bytes()
    table = capsys.readouterr().out
    main([*options, "--streams", "1,3"])
    assert output.read_bytes() == before
    assert capsys.readouterr().out == table
    with pytest.raises(SystemExit, match="another kind of run"):
        main([*options, "--precision", "bfloat16", "--streams", "1"])


def test_products_in_16_bits_on_a_processor(tmp_path: Path) -> None:
    options = ["--config", "micro", "--device", "cpu", "--precision", "bfloat16", "--seconds", "0.8", "--streams", "1"]
    main([*options, "--output", str(tmp_path / "speech.json")])
    assert json.loads((tmp_path / "speech.json").read_text("utf-8"))["run"]["precision"] == "bfloat16"


def test_the_gpu_script_at_small_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    speech.main([str(tmp_path), "--small"])
    assert "bfloat16" in capsys.readouterr().out
    assert [row["load"]["streams"] for row in json.loads((tmp_path / "speech.json").read_text("utf-8"))["rows"]] == [
        1, 2
    ]  # fmt: skip
