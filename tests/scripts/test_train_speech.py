"""The script that trains backbone and heads on a GPU, on the processor and very small."""

import json
from pathlib import Path

import pytest

from scripts.gpu.train_speech import main
from tests.tts_worker.forge.speech_support import renew_codec
from tests.tts_worker.forge.support import make_tones
from tts_worker.engine import Utterance
from tts_worker.forge.speech_job import read_voice_job
from tts_worker.room import Room
from tts_worker.voxtral import from_folder

JOB = """
name = "test"
folder = "{folder}"
config = "nano"
[speech]
steps = 4
positions = 200
prefix = [2, 3]
evaluate_every = 2
evaluate = 1
"""


@pytest.mark.models
def test_each_call_goes_on_and_prints_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "job.toml"
    path.write_text(JOB.format(folder=tmp_path))
    make_tones(read_voice_job(path))
    with pytest.raises(SystemExit, match="train it first"):
        main([str(path), "--device", "cpu"])
    renew_codec(read_voice_job(path), 0)
    main([str(path), "--device", "cpu"])
    main([str(path), "--device", "cpu"])  # there is nothing left to do
    printed = capsys.readouterr().out.strip().splitlines()
    assert [line.split()[0] for line in printed] == ["step", "2", "4"] * 2

    made = {file.name for file in (tmp_path / "speech").iterdir()}
    assert {"state.pt", "model", "evaluations.png", "evaluations.jsonl", "originals.json"} <= made
    samples = {file.name for file in (tmp_path / "speech" / "samples" / "000004").iterdir()}
    assert samples == {"0.png", "0_model.wav", "0_teacher.wav"}
    last = json.loads((tmp_path / "speech" / "evaluations.jsonl").read_text().splitlines()[-1])
    assert 0 <= last["end_recall"] <= 1
    assert last["length"] > 0
    engine = from_folder(tmp_path / "speech" / "model", "cpu", "auto", Room(1 << 22, 320))
    engine.load()
    engine.begin(Utterance("Good morning.", "tones", seed=1))


def test_a_missing_gpu_is_said_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    path = tmp_path / "job.toml"
    path.write_text(JOB.format(folder=tmp_path / "made"))
    with pytest.raises(SystemExit, match="no GPU"):
        main([str(path)])
    assert not (tmp_path / "made").exists()
