"""Benchmarks run, at their smallest; what they say of speed is not tested."""

import json

from llm_worker import bench


def test_alone(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("os.sched_setaffinity", lambda *_: None)
    output = tmp_path / "result.json"
    sizes = ["--config", "nano", "--streams", "3", "--context", "40", "--tokens", "5", "--repeat", "2"]
    assert bench.main(["alone", *sizes, "--output", str(output)]) == 0
    found = json.loads(output.read_text())["alone"]
    assert found["tokens_per_second_3"] > 0
    assert found["first_token_ms_p95"] >= found["first_token_ms_p50"] > 0
    assert "gain_of_3" in capsys.readouterr().out


def test_beside_transformers(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_setaffinity", lambda *_: None)
    output = tmp_path / "result.json"
    sizes = ["--config", "nano", "--streams", "2", "--context", "40", "--repeat", "1", "--page", "16"]
    assert bench.main(["beside", *sizes, "--output", str(output)]) == 0
    found = json.loads(output.read_text())
    spoken = 6 * (6 * 5 + 32 + 2)
    assert 40 + 6 * 32 < found["beside"]["ours"]["talk_prefilled_tokens"] < 40 + 2.5 * spoken
    assert 0 < found["ratios"]["prefilled"] < 1
