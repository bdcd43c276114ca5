"""A release is what was trained and evaluated, in 8 bits, with a card that says so; anything else is refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from llm_worker.forge import __main__ as command
from llm_worker.forge.dataset import Generated, generate
from llm_worker.forge.evaluate import digest
from llm_worker.forge.practice import Split
from llm_worker.forge.reinforce import RESULT
from llm_worker.forge.reinforcejob import ReinforceJob
from llm_worker.forge.release import CARD, EVALUATION, Bounds, NotReleased, release
from llm_worker.forge.train import JOB, LOG, Training, logged, write_asked
from llm_worker.forge.trainjob import TrainJob
from llm_worker.model.checkpoint import CHECKPOINT, load, read_header
from llm_worker.model.config import load_config

_WIDE = Bounds(megabytes=2, loss=0.05)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of two steps and the evaluation of what came of it."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("forge")
    data = folder / "data"
    data.mkdir()
    counts: dict[Split, int] = {"train": 2, "held": 1}
    for split, count in counts.items():
        lines = [made.to_json() for made in generate(Generated(), 0, split, count)]
        (data / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    manifest = {
        "job": {"seed": 0, "generated": Generated(train=2, held=1).model_dump(mode="json")},
        "conversations": {"train generated": 2, "held generated": 1},
        "characters": {"train": 1000, "held": 500},
    }
    (data / "manifest.json").write_text(json.dumps(manifest))
    job = TrainJob(data=data, out=folder / "run", config="nano", steps=2, most=2, held=1, longest=9000, rate=5e-3)
    Training(job).run(progress=False)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TRUNKLINE_LLM_FOLDER", str(job.out / "model"))
        patched.setenv("TRUNKLINE_LLM_DEVICE", "cpu")
        (job.out / EVALUATION).mkdir()
        out = str(job.out / EVALUATION / "held-out.json")
        words = ["forge", "evaluate", "--backend", "engine", "--calls", "1", "--first", "7", "--noise", "--json", out]
        patched.setattr("sys.argv", words)
        command.main()
    return job.out


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))


def test_what_is_released_is_the_model_in_eight_bits_with_its_card(run: Path, tmp_path: Path) -> None:
    facts = release(run, tmp_path / "small", _WIDE)
    out = tmp_path / "small"
    assert sorted(path.name for path in out.iterdir()) == [CARD, CHECKPOINT, "params.json", "tekken.json"]
    assert {"I8", "F32", "BF16"} >= set(read_header(out).types.values()) > {"I8"}
    config = load_config(out / "params.json")
    ids = torch.arange(50, 80).unsqueeze(0)
    trained, released = (load(folder, config, torch.float32, "cpu") for folder in (run / "model", out))
    with torch.no_grad():
        apart = (trained.logits(trained.whole(ids)) - released.logits(released.whole(ids))).abs()
    assert 0 < float(apart.max()) < 0.05
    assert facts.loss_rounded == pytest.approx(facts.loss, abs=0.01)
    assert facts.loss == pytest.approx(logged(run / LOG)[-1]["held"], abs=0.01)  # the model is in bfloat16, the log not
    card = (out / CARD).read_text()
    for told in (
        "# small",
        f"{sum(weight.numel() for weight in trained.parameters()):,} parameters",
        "no call of a person is in them",
        "Licence: Apache-2.0",
        "before they were rounded",
        "held-out: 1 calls, recogniser's errors × 1",
        "| task success | 0.0% | 0.0% to 79.3% | 1 |",
        "evaluate --backend engine --calls 1 --first 7 --noise 1 --json run/evaluation/held-out.json",
        'config = "nano"',
        "hours of 2 steps\n",
    ):
        assert told in card
    assert str(tmp_path.parent) not in card


def test_what_was_trained_to_be_in_eight_bits_is_released_as_it_was_evaluated(copied: Path, tmp_path: Path) -> None:
    assert release(copied, tmp_path / "rounded", _WIDE).exactly is False
    shutil.copyfile(tmp_path / "rounded" / CHECKPOINT, copied / "model" / CHECKPOINT)
    asked = json.loads((copied / JOB).read_text())
    asked["job"]["store"] = "int8"
    (copied / JOB).write_text(json.dumps(asked))
    with pytest.raises(NotReleased, match="other weights"):
        release(copied, tmp_path / "again", _WIDE)
    _claim(copied)
    facts = release(copied, tmp_path / "again", _WIDE)
    assert facts.exactly
    assert facts.loss == facts.loss_rounded


def test_what_was_reinforced_is_released_with_its_training(copied: Path, tmp_path: Path) -> None:
    tried = tmp_path / "tried"
    shutil.copytree(copied / "model", tried / "model")
    shutil.copytree(copied / EVALUATION, tried / EVALUATION)
    job = ReinforceJob(start=copied / "model", out=tried, steps=7)
    write_asked(tried, job, "cpu")
    result = {"before": 0.5, "after": 0.75, "wins": 12, "losses": 2, "of": 40, "chance": 0.01, "kept": True}
    (tried / RESULT).write_text(json.dumps(result))
    facts = release(tried, tmp_path / "out", _WIDE)
    assert facts.tried is not None
    assert not facts.exactly
    card = (tmp_path / "out" / CARD).read_text()
    for told in (
        "then 7 steps of reinforcement",
        "0.500 before, 0.750 after; 12 of 40 served better, 2 worse",
        'start = "run/model"',
        "python -m llm_worker.forge reinforce reinforce.toml",
        "--json tried/evaluation/held-out.json",
        "python -m llm_worker.forge release tried out",
    ):
        assert told in card
    assert str(tmp_path) not in card


def test_what_a_model_began_with_is_told(copied: Path, tmp_path: Path) -> None:
    asked = json.loads((copied / JOB).read_text())
    asked["job"]["start"] = str(copied / "model")
    (copied / JOB).write_text(json.dumps(asked))
    release(copied, tmp_path / "out", _WIDE)
    card = (tmp_path / "out" / CARD).read_text()
    assert f"it began with the weights {digest(copied / 'model')}" in card
    assert 'start = "START"' in card
    assert str(copied) not in card


def _claim(run: Path) -> None:
    """The evaluation says that it is of the weights that there are."""
    path = run / EVALUATION / "held-out.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"weights": digest(run / "model")}))


def test_what_is_not_to_be_released_is_refused(copied: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for bounds, reason in ((Bounds(megabytes=0.1), r"bytes are more than 0\.1 MB"), (Bounds(loss=-1), "8 bits add")):
        with pytest.raises(NotReleased, match=reason):
            release(copied, out, bounds)
    (copied / JOB).rename(copied / "kept")
    with pytest.raises(NotReleased, match=r"job\.json: No such file"):
        release(copied, out, _WIDE)
    (copied / "kept").rename(copied / JOB)
    shutil.rmtree(copied / EVALUATION)
    with pytest.raises(NotReleased, match="no evaluation"):
        release(copied, out, _WIDE)
    assert not out.exists()
    with pytest.raises(NotReleased, match="there already"):
        release(copied, tmp_path, _WIDE)


def test_what_the_engine_does_not_serve_is_refused(copied: Path, tmp_path: Path) -> None:
    params = json.loads((copied / "model" / "params.json").read_text())
    (copied / "model" / "params.json").write_text(json.dumps(params | {"max_position_embeddings": 16}))
    with pytest.raises(NotReleased, match="the engine does not serve it"):
        release(copied, tmp_path / "out", _WIDE)
