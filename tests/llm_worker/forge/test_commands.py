"""`python -m llm_worker.forge`: what it prints, writes and returns."""

import json
import sys
from pathlib import Path

import pytest

from llm_worker.forge.__main__ import main


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["forge", *arguments])
    main()


def test_data_is_made_and_a_source_taken_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "job.toml").write_text('out = "data"\n[generated]\ntrain = 3\nheld = 1\n')
    _run(monkeypatch, "data", str(tmp_path / "job.toml"))
    assert "conversations, train generated: 3\n" in capsys.readouterr().out
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    assert manifest["job"]["generated"]["train"] == 3
    _run(monkeypatch, "forget", str(tmp_path / "data"), "generated")
    assert capsys.readouterr().out == "4 conversations of generated taken out\n"


def test_an_evaluation_prints_a_table_and_writes_what_programs_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    files = ["--json", str(tmp_path / "a.json"), "--transcripts", str(tmp_path / "a.txt")]
    _run(monkeypatch, "evaluate", "--calls", "6", "--noise", *files)
    printed = capsys.readouterr().out
    assert printed.startswith("6 calls, held out, from number 0; recogniser's errors × 1; backend scripted\n")
    figures = json.loads((tmp_path / "a.json").read_text())
    failed = [call for call in figures["calls"] if not call["success"] or call["inventions"]]
    assert (tmp_path / "a.txt").read_text().count("== ") == len(failed)
    _run(monkeypatch, "evaluate", "--backend", "rules", "--calls", "4")
    assert "| task success | 100.0% |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["data", "none.toml"], 2, "none.toml"),
        (["forget", "nowhere", "x"], 2, "nowhere"),
        (["train", "none.toml"], 2, "none.toml"),
        (["evaluate", "--backend", "what"], 2, "BACKEND"),
        (["evaluate", "--backend", "rules", "--handwritten"], None, "rules"),
        (["bake"], 2, "bake"),
    ],
)
def test_what_cannot_be_done_is_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int | None,
    told: str,
) -> None:
    with pytest.raises(SystemExit) as ended:
        _run(monkeypatch, *arguments)
    assert told in capsys.readouterr().err or told in str(ended.value.code)
    assert code is None or ended.value.code == code


@pytest.mark.parametrize("command", ["data", "forget", "train", "evaluate"])
def test_help_of_each_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        _run(monkeypatch, command, "--help")
    assert ended.value.code == 0
    assert "usage: python -m llm_worker.forge " + command in capsys.readouterr().out
