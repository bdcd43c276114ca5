"""The script that trains on a GPU, on the processor and very small."""

from pathlib import Path

import pytest

from scripts.gpu.train_codec import main
from tests.tts_worker.forge.support import job, make_tones
from tts_worker.forge.corpus import corpus_folder
from tts_worker.forge.store import MANIFEST

JOB = """
name = "test"
folder = "{folder}"
config = "nano"
[codec]
steps = 4
batch = 2
frames = 3
evaluate_every = 2
evaluate = 1
threads = 1
adversary_from = 1
adversary_windows = [128]
adversary_channels = 2
"""


@pytest.mark.models
def test_each_call_goes_on_and_prints_what_is_understood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_tones(job(tmp_path))
    (corpus_folder(job(tmp_path)) / MANIFEST).write_text("{}")
    path = tmp_path / "job.toml"
    path.write_text(JOB.format(folder=tmp_path))
    main([str(path), "--device", "cpu"])
    main([str(path), "--device", "cpu"])  # there is nothing left to do
    printed = capsys.readouterr().out.strip().splitlines()
    assert [line.split()[0] for line in printed] == ["step", "2", "4"] * 2

    made = {file.name for file in (tmp_path / "codec").iterdir()}
    assert {"state.pt", "codec.safetensors", "evaluations.png", "evaluations.jsonl"} <= made
    samples = {file.name for file in (tmp_path / "codec" / "samples" / "000004").iterdir()}
    assert samples == {"0.png", "0_codec.wav", "0_original.wav"}


def test_a_missing_gpu_is_said_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    path = tmp_path / "job.toml"
    path.write_text(JOB.format(folder=tmp_path / "made"))
    with pytest.raises(SystemExit, match="no GPU"):
        main([str(path)])
    assert not (tmp_path / "made").exists()
