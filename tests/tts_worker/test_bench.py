"""The benchmark and the GPU's script run, at small size: numbers are not judged here."""

import json
import subprocess
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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--streams 0", "--streams: '0'; valid: whole numbers from 1"),
        ("--streams 1,two", "--streams: 'two'; valid"),
        ("--seconds 0.05", "--seconds: '0.05'; valid: 0.8 to 120"),
        ("--seconds nan", "--seconds: 'nan'; valid"),
        ("--threads 0", "--threads: '0'; valid"),
        ("--config big", "invalid choice: 'big'"),
        ("--output /no/such/folder/x.json", "--output: /no/such/folder is no folder"),
    ],
)
def test_options_that_cannot_be_measured(options: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(options.split())
    assert words in capsys.readouterr().err


def test_more_streams_than_an_engine_holds() -> None:
    with pytest.raises(SystemExit, match="3000 streams: an engine holds at most 2000"):
        main(["--config", "nano", "--device", "cpu", "--streams", "3000"])


def test_the_gpu_script_at_small_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speech, "_SMALL", (2,))
    assert speech.main([str(tmp_path), "--small"]) == 0
    assert "bfloat16" in capsys.readouterr().out
    assert list(speech.results(tmp_path / "speech.json")) == [2]


def test_what_goes_wrong_with_one_number_of_streams_costs_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bench(command: list[str], timeout: float, check: bool) -> subprocess.CompletedProcess[bytes]:
        streams, output = int(command[command.index("--streams") + 1]), tmp_path / "speech.json"
        if streams == 2:
            raise subprocess.TimeoutExpired(command, timeout)
        if streams != 4:
            rows = json.loads(output.read_text("utf-8"))["rows"] if output.exists() else []
            rows.append({"load": {"streams": streams, "real_time_factor_worst": 0.4 * streams}})
            output.write_text(json.dumps({"rows": rows}), encoding="utf-8")
        return subprocess.CompletedProcess(command, 9 if streams == 4 else 0)

    monkeypatch.setattr(speech, "_SMALL", (1, 2, 4, 3, 5))
    monkeypatch.setattr(speech, "agreement", lambda *_: 1 / 0)
    monkeypatch.setattr(subprocess, "run", bench)
    assert speech.main([str(tmp_path), "--small", "--limit", "100"]) == 1
    assert list(speech.results(tmp_path / "speech.json")) == [1, 3]  # of five more is known: three fall behind
    assert capsys.readouterr().out.splitlines() == [
        "the comparison failed: ZeroDivisionError('division by zero')",
        "2 streams: not measured after 40 s",
        "4 streams: the benchmark ended with 9",
    ]
