"""Training of backbone and heads: what is trained is what the engine runs, down to the words of a voice by heart."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tts_worker.forge.speech_support import job, prepare, renew_codec, said
from tests.tts_worker.model.engines import speak as through_engine
from tests.tts_worker.model.support import close, model
from tts_worker.engine import FRAME, Utterance
from tts_worker.forge.examine import examined
from tts_worker.forge.examples import TOKENIZER, Draws, Example, SpeechBatch, reference, together
from tts_worker.forge.job import JobError
from tts_worker.forge.objective import rate, states, told
from tts_worker.forge.speech import STATE, SpeechTraining, corpus_examples, draws_of, speech_folder, train_speech
from tts_worker.forge.speech_job import SpeechJob, VoiceJob, read_voice_job
from tts_worker.forge.voice import speak, voice_rows, voices, write_voice_model
from tts_worker.model.backbone import Cache
from tts_worker.model.config import END, SPECIALS
from tts_worker.model.prompt import text_ids, voice_ids
from tts_worker.model.reference import voice_rows as rows_of_recording
from tts_worker.room import Room
from tts_worker.voxtral import from_folder


def batch_of(known: list[Example]) -> SpeechBatch:
    """Each behind the first frames of the one before it."""
    return together([(one, reference(before, 5)) for before, one in pairwise(known)], 0.2)


def state(of: VoiceJob) -> dict[str, Any]:
    saved: dict[str, Any] = torch.load(speech_folder(of) / STATE, weights_only=True)
    return saved


@pytest.fixture(autouse=True)
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tones need no recogniser."""
    monkeypatch.setattr("tts_worker.forge.examine.examine", lambda training, known: {})


@torch.no_grad()
def test_the_trained_path_is_the_backbone_of_the_engine() -> None:
    engine = model()
    inputs = torch.randn(2, 30, engine.config.dim, generator=torch.Generator().manual_seed(0))
    cache = Cache.empty(engine.config, 2, 32, torch.float32, torch.device("cpu"))
    assert close(states(engine.backbone, inputs), engine.backbone(inputs, torch.arange(30).expand(2, -1), cache), 1e-4)


@torch.no_grad()
def test_an_utterance_lies_in_a_batch_as_in_the_engine(tmp_path: Path) -> None:
    """Inputs by the engine's own prompt; what is told after them: the frames' codes, then END."""
    engine, known = model(), prepare(job(tmp_path))
    batch = batch_of(known)
    inputs = engine.text_embedding(batch.tokens)
    flat = inputs.flatten(0, 1).index_copy(0, batch.places, engine.frame_embedding(batch.codes)).view_as(inputs)
    at = 0
    for row, (before, one) in enumerate(pairwise(known)):
        rows = voice_rows(engine, before.frames[:5])
        ids = [*voice_ids(TOKENIZER, len(rows)), *text_ids(TOKENIZER, said(one))]
        frames = torch.from_numpy(one.frames.astype(np.int64))
        wanted = torch.cat((engine.prompt(torch.tensor(ids), rows), engine.frame_embedding(frames + SPECIALS)))
        assert torch.equal(flat[row, : len(wanted)], wanted)
        end = at + len(frames) + 1
        assert batch.heard[at:end].tolist() == [row * flat.shape[1] + len(ids) - 1 + k for k in range(end - at)]
        assert batch.semantic[at:end].tolist() == [*(frames[:, 0] + SPECIALS).tolist(), END]
        at = end
    assert at == len(batch.semantic)
    assert torch.equal(batch.acoustic, torch.cat([torch.from_numpy(e.frames[:, 1:].astype(int)) for e in known[1:]]))
    assert (batch.semantic[batch.sounding] != END).all()


@torch.no_grad()
def test_the_voice_of_an_utterance_is_that_of_its_recording(tmp_path: Path) -> None:
    """Also where it is cut: the codec does not look ahead."""
    known = prepare(job(tmp_path))
    training = SpeechTraining(job(tmp_path), "cpu")
    samples = torch.from_numpy(known[1].clip.sound[: 4 * FRAME].copy())
    assert close(voice_rows(training.model, reference(known[1], 4)), rows_of_recording(training.model, samples))


@torch.no_grad()
def test_padding_and_neighbours_change_nothing(tmp_path: Path) -> None:
    known = prepare(job(tmp_path))
    engine, settings = model(), SpeechJob()

    def semantic(batch: SpeechBatch) -> float:
        return float(told(engine, batch, settings, torch.Generator().manual_seed(0)).semantic) * float(
            batch.weight.sum()
        )

    alone = [semantic(together([(one, reference(known[0], 4))], 0.2)) for one in known[1:]]
    assert semantic(together([(one, reference(known[0], 4)) for one in known[1:]], 0.2)) == pytest.approx(
        sum(alone), rel=1e-4
    )


@torch.no_grad()
def test_draws_can_go_through_the_head_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, batch = model(), batch_of(prepare(job(tmp_path)))

    def flow() -> float:
        return float(told(engine, batch, SpeechJob(), torch.Generator().manual_seed(0)).flow)

    whole = flow()
    monkeypatch.setattr("tts_worker.forge.objective.ROWS", 10)
    assert flow() == pytest.approx(whole, rel=1e-5)


def test_the_codec_learns_nothing_and_everything_else_does(tmp_path: Path) -> None:
    known = prepare(job(tmp_path))
    training = SpeechTraining(job(tmp_path), "cpu")
    before = {name: tensor.clone() for name, tensor in training.model.state_dict().items()}
    for _ in range(3):
        training.advance(batch_of(known))
    for name, tensor in training.model.state_dict().items():
        assert torch.equal(tensor, before[name]) == name.startswith(("decoder.", "encoder.")), name


def test_two_utterances_are_learned_by_heart_and_spoken(tmp_path: Path) -> None:
    """The losses go to nothing, and free speech through the engine's runner gives their very codes, and an end."""
    of = job(tmp_path, steps=400, rate=6e-3, warm_up=20, decay=0, draws=16, average=0.98)
    known = prepare(of, 3)[1:]
    training = SpeechTraining(of, "cpu")
    batch = together([(one, reference(other, 6)) for one, other in zip(known, known[::-1], strict=True)], 1)
    losses = [training.advance(batch) for _ in range(of.speech.steps)]
    assert np.mean([loss["semantic"] for loss in losses[-20:]]) < 0.01
    assert np.mean([loss["flow"] for loss in losses[-20:]]) < 0.1 * losses[0]["flow"]
    learned = training.averaged()
    for one, other in zip(known, known[::-1], strict=True):
        rows = voice_rows(learned, reference(other, 6))
        (take,) = speak(learned, rows, [said(one)], seed=5, guidance=1.0)
        assert take.ended
        assert np.array_equal(take.frames, one.frames)
        assert len(take.sound(learned)) == len(one.frames) * FRAME


def test_a_run_that_was_stopped_twice_gives_the_weights_of_one_that_was_not(tmp_path: Path) -> None:
    whole, parts = job(tmp_path / "whole"), job(tmp_path / "parts")
    prepare(whole)
    prepare(parts)
    train_speech(whole)
    for until in (2, 5):
        stopped = SpeechTraining(parts, "cpu")
        speech_folder(parts).mkdir(exist_ok=True)
        if until > 2:
            stopped.restore(speech_folder(parts) / STATE)
        draws = draws_of(parts, corpus_examples(parts))
        while stopped.step < until:
            stopped.advance(draws.batch(stopped.step, parts.speech.positions, parts.speech.silence))
        stopped.save(speech_folder(parts) / STATE)
        stopped.advance(draws.batch(stopped.step, parts.speech.positions, parts.speech.silence))  # lost by the kill
    train_speech(parts)
    first, second = state(whole), state(parts)
    assert first["step"] == second["step"] == 6
    assert first["frames"] == second["frames"] > 0
    for part in ("weights", "average"):
        assert all(torch.equal(value, second[part][name]) for name, value in first[part].items())
    assert (speech_folder(whole) / "log.jsonl").exists() is False  # a line is written every 20 steps


def test_the_engine_speaks_with_what_was_written(tmp_path: Path) -> None:
    of = job(tmp_path)
    known = prepare(of)
    train_speech(of)
    folder = speech_folder(of) / "model"
    engine = from_folder(folder, "cpu", "auto", Room(1 << 22, 320))
    engine.load()
    assert [voice.name for voice in engine.voices] == ["tones"]
    assert engine.clones
    pieces = through_engine(engine, engine.begin(Utterance("Utterance 3", "tones", seed=1)))
    assert pieces[-1].last
    assert all(np.isfinite(piece.samples).all() for piece in pieces)
    trained = SpeechTraining(of, "cpu")
    trained.restore(speech_folder(of) / STATE)
    loaded = engine._loaded
    assert loaded is not None
    wanted = voice_rows(trained.averaged(), voices(known, of)["tones"])
    assert torch.equal(loaded.voices["tones"].float(), wanted.bfloat16().float())
    for name, tensor in trained.average.items():
        assert torch.equal(loaded.model.state_dict()[name].float(), tensor.bfloat16().float()), name


def test_a_voice_of_each_speaker_is_written_from_what_was_trained_on(tmp_path: Path) -> None:
    known = prepare(job(tmp_path))
    found = voices(known, job(tmp_path))
    assert list(found) == ["tones"]
    assert np.array_equal(found["tones"], known[1].frames[:6])  # the first one is held out
    write_voice_model(SpeechTraining(job(tmp_path), "cpu").averaged(), job(tmp_path), known, tmp_path / "model")
    assert [path.name for path in (tmp_path / "model" / "voice_embedding").iterdir()] == ["tones.pt"]


def test_batches_follow_from_seed_and_step_and_have_what_fits(tmp_path: Path) -> None:
    known = prepare(job(tmp_path), 30)
    draws = [Draws(known, 1, (4, 6)) for _ in range(2)]
    for step in range(20):
        one, other = (draw.batch(step, 200, 0.2) for draw in draws)
        assert torch.equal(one.tokens, other.tokens)
        assert torch.equal(one.codes, other.codes)
        assert len(one.tokens) == 1 or one.tokens.numel() <= 200
    assert len(draws[0].batch(0, 1, 0.2).tokens) == 1
    assert not torch.equal(draws[0].batch(0, 200, 0.2).codes, draws[0].batch(1, 200, 0.2).codes)


def test_silent_frames_count_less(tmp_path: Path) -> None:
    known = prepare(job(tmp_path))
    shard = known[1].clip.shard.copy()
    line = known[1].clip.line
    shard[line.start : line.start + 2 * FRAME] = 3  # far below what anybody hears
    silent = Example(type(known[1].clip)(line, shard, known[1].clip.name), known[1].frames, known[1].text)
    weight = together([(silent, reference(known[2], 4))], 0.2).weight
    assert weight.tolist() == pytest.approx([0.2] * 2 + [1.0] * (len(weight) - 2))


def test_a_state_of_another_codec_is_refused(tmp_path: Path) -> None:
    prepare(job(tmp_path))
    SpeechTraining(job(tmp_path), "cpu").save(tmp_path / STATE)
    renew_codec(job(tmp_path), 7)
    with pytest.raises(JobError, match="another codec"):
        SpeechTraining(job(tmp_path), "cpu").restore(tmp_path / STATE)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="train it first"):
        train_speech(job(tmp_path))
    known = prepare(job(tmp_path))
    with pytest.raises(JobError, match="every text"):
        draws_of(job(tmp_path), known[:1])
    with pytest.raises(JobError, match="no text"):
        examined(job(tmp_path), known[1:])
    with pytest.raises(JobError, match="positions"):
        corpus_examples(job(tmp_path, prefix=(4, 1000)))


def test_the_rate_rises_and_falls_to_nothing() -> None:
    settings = SpeechJob(steps=100, warm_up=9, rate=1.0)
    rates = [rate(settings, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == 1.0
    assert rates[-1] == pytest.approx(0.0)
    assert rates[9:] == sorted(rates[9:], reverse=True)


def test_a_job_has_a_part_for_speech(tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_text('name = "x"\nfolder = "y"\n[speech]\nsteps = 7\n')
    assert read_voice_job(path, tmp_path).speech.steps == 7
    path.write_text('name = "x"\nfolder = "y"\n[speech]\nstep = 7\n')
    with pytest.raises(JobError, match=r"speech\.step"):
        read_voice_job(path)
    with pytest.raises(JobError, match="No such file"):
        read_voice_job(tmp_path / "none.toml")
