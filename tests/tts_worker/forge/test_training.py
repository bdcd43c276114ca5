"""Training of the codec: what is trained is what the engine runs, and a killed run goes on as if nothing had been."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tts_worker.forge.support import job, make_tones
from tests.tts_worker.model.support import close, codes, model
from tts_worker.forge import codec as training
from tts_worker.forge.codec import LOG, STATE, WEIGHTS, CodecTraining, codec_folder, rate, train_codec
from tts_worker.forge.codes import make_codes, read_codes
from tts_worker.forge.corpus import corpus_folder
from tts_worker.forge.job import Job, JobError
from tts_worker.forge.nets import sound
from tts_worker.forge.quantise import Treatment
from tts_worker.forge.run import Notes
from tts_worker.forge.store import read_corpus
from tts_worker.forge.weights import read_codec, write_codec
from tts_worker.model.config import shipped_config


def nets(of: Job) -> CodecTraining:
    return CodecTraining(of, "cpu")


def state(of: Job) -> dict[str, Any]:
    saved: dict[str, Any] = torch.load(codec_folder(of) / STATE, weights_only=True)
    return saved


@pytest.fixture(autouse=True)
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tones need no recogniser."""
    monkeypatch.setattr("tts_worker.forge.listen.evaluate", lambda training: {})


@torch.no_grad()
def test_the_trained_path_is_the_decoder_of_the_engine(tmp_path: Path) -> None:
    run = nets(job(tmp_path))
    torch.nn.init.normal_(run.nets.decoder.quantiser.embedding_sum)
    torch.nn.init.ones_(run.nets.decoder.quantiser.cluster_usage)
    frames = codes(job(tmp_path).model(), 2, 7)
    quantiser = run.nets.decoder.quantiser
    assert close(sound(run.nets.decoder, quantiser.decode(frames, quantiser.table())), run.nets.decoder.whole(frames))


@torch.no_grad()
def test_training_quantises_as_the_engine_does(tmp_path: Path) -> None:
    run = nets(job(tmp_path))
    torch.nn.init.normal_(run.nets.decoder.quantiser.embedding_sum)
    torch.nn.init.ones_(run.nets.decoder.quantiser.cluster_usage)
    samples = torch.randn(2, 5 * run.config.frame, generator=torch.Generator().manual_seed(1)) * 0.1
    made, _ = run.nets(samples, Treatment.full(2), torch.zeros(2, 5, run.config.acoustic_dim))
    assert close(made, run.nets.resynthesised(samples))


@torch.no_grad()
def test_the_engine_loads_what_was_trained(tmp_path: Path) -> None:
    run, engine = nets(job(tmp_path)), model()
    run.nets.decoder.quantiser.embedding_sum.normal_()
    run.nets.decoder.quantiser.cluster_usage.uniform_(0.5, 2)
    write_codec(run.nets, run.model, tmp_path / "codec.safetensors")
    read_codec(tmp_path / "codec.safetensors", engine)
    frames = codes(engine.config, 2, 6)
    assert torch.equal(engine.decoder.whole(frames), run.nets.decoder.whole(frames))
    assert engine.encoder is not None
    samples = 0.1 * torch.randn(1, 4 * run.config.frame, generator=torch.Generator().manual_seed(1))
    latent, _ = engine.encoder(samples, engine.encoder.fresh(1))
    assert torch.equal(engine.decoder.quantiser.encode(latent), run.nets.codes(samples))
    with pytest.raises(JobError, match="is no codec of this configuration"):
        read_codec(tmp_path / "codec.safetensors", model(config=shipped_config("micro")))


def test_a_run_that_was_stopped_twice_gives_the_weights_of_one_that_was_not(tmp_path: Path) -> None:
    adversary = {"adversary_from": 4, "adversary_windows": (256, 128), "adversary_channels": 4}
    whole, parts = job(tmp_path / "whole", **adversary), job(tmp_path / "parts", **adversary)
    for one in (whole, parts):
        make_tones(one)
    train_codec(whole)
    for steps in (3, 5):
        stopped = CodecTraining(parts, "cpu")
        _advance(parts, stopped, steps)
    train_codec(parts)
    one, other = state(whole), state(parts)
    assert one["step"] == other["step"] == 8
    assert all(torch.equal(value, other["nets"][name]) for name, value in one["nets"].items())


def _advance(of: Job, run: CodecTraining, until: int) -> None:
    """As `train_codec` does it, and then killed right after saving."""
    folder = codec_folder(of)
    folder.mkdir(exist_ok=True)
    if (folder / STATE).exists():
        run.restore(folder / STATE)
    crops = training.crops_of(of, run)
    while run.step < until:
        run.advance(crops.batch(run.step, of.codec.batch, of.codec.frames))
    run.save(folder / STATE)


def test_lines_of_the_log_after_the_saved_step_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / LOG
    path.write_text('{"step": 20}\n{"step": 40}\n')
    Notes(path, 30)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [20]


def test_tones_are_learned(tmp_path: Path) -> None:
    """The losses fall by a quarter on what was seen; sounds are told better than by chance."""
    small = job(tmp_path, steps=80, rate=1e-2, batch=4)
    make_tones(small)
    run = nets(small)
    crops = training.crops_of(small, run)
    losses = [run.advance(crops.batch(step, 4, 4)) for step in range(80)]
    for name in ("mel", "spectrum", "sounds"):
        first, last = (sum(loss[name] for loss in part) / 10 for part in (losses[:10], losses[-10:]))
        assert last < 0.75 * first, name


def test_a_state_of_other_sizes_is_refused(tmp_path: Path) -> None:
    nets(job(tmp_path)).save(tmp_path / STATE)
    other = nets(job(tmp_path, slots=4))
    with pytest.raises(JobError, match="other sizes"):
        other.restore(tmp_path / STATE)


def test_without_a_corpus_there_is_no_training(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="make it first"):
        train_codec(job(tmp_path))


def test_the_rate_rises_stays_and_falls_to_nothing() -> None:
    settings = Job.model_validate({"name": "x", "folder": "x", "codec": {"steps": 100, "warm_up": 9}}).codec
    rates = [rate(settings, step) / settings.rate for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[20] == rates[74] == 1.0
    assert rates[-1] == 0.0
    assert rates[9:] == sorted(rates[9:], reverse=True)


def test_codes_of_the_corpus_are_those_of_each_utterance_alone(tmp_path: Path) -> None:
    of = job(tmp_path)
    make_tones(of)
    with pytest.raises(JobError, match="train it first"):
        read_codes(of)
    run = nets(of)
    run.nets.decoder.quantiser.embedding_sum.normal_()
    run.nets.decoder.quantiser.cluster_usage.fill_(1)
    codec_folder(of).mkdir()
    write_codec(run.nets, run.model, codec_folder(of) / WEIGHTS)
    with pytest.raises(JobError, match="make it"):
        read_codes(of)
    make_codes(of)
    clips, made = read_corpus(corpus_folder(of)), read_codes(of)
    assert [one.line for one in made] == [clip.line for clip in clips]
    for one, clip in zip(made, clips, strict=True):
        samples = torch.from_numpy(clip.sound)[None]
        alone = run.nets.codes(torch.nn.functional.pad(samples, (0, -samples.shape[1] % run.config.frame)))
        assert torch.equal(torch.from_numpy(one.frames.astype(int)), alone[0])
