"""The corpus: sentences, sounds, what the teacher says, recordings, and the shards they are stored in."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tts_worker.engine import SAMPLE_RATE
from tts_worker.forge import corpus
from tts_worker.forge.corpus import corpus_folder, levelled, make_corpus, manner
from tts_worker.forge.job import CodecJob, CorpusJob, Job, JobError, describe, read_job
from tts_worker.forge.phones import merged, sounding
from tts_worker.forge.sentences import held_out, sentence
from tts_worker.forge.speech_job import read_voice_job
from tts_worker.forge.store import MANIFEST, read_corpus
from tts_worker.forge.teacher import Manner, Teacher, intoned, phones
from tts_worker.normalise import normalise


def job(folder: Path, **fields: Any) -> Job:
    return Job.model_validate({"name": "test", "folder": folder, "corpus": fields})


def test_sentences_are_many_and_always_the_same() -> None:
    made = [sentence(1, number) for number in range(3000)]
    assert made[:50] == [sentence(1, number) for number in range(50)]
    assert made[:50] != [sentence(2, number) for number in range(50)]
    assert len(set(made)) > 2900
    assert not [text for text in made if "{" in text or "}" in text]
    assert 20 < sum(map(held_out, made)) < 120
    words = Counter(word for text in made for word in normalise(text, "en-US").text.lower().split())
    assert len(words) > 4000


def test_a_name_is_spelled_as_it_is_said() -> None:
    made = [sentence(1, number) for number in range(3000)]
    pairs = [found for text in made for found in re.findall(r"(\w+) is spelled ((?:[A-Z][, -]+)+[A-Z])\b", text)]
    pairs = [(name, letters) for name, letters in pairs if name != "That"]
    assert len(pairs) > 5
    assert all(re.sub("[^A-Z]", "", letters) == name.upper() for name, letters in pairs)


def test_a_text_stays_held_out_whatever_its_marks() -> None:
    assert held_out("Good morning, Anna!") == held_out("good morning anna")


def test_marks_go_to_the_sounds_they_belong_to() -> None:
    sounds, ends = merged([" ", "h", "ə", "ˈ", "O", "ː", ",", " ", "b"], [1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert (sounds, ends) == (" həO b", [1, 2, 3, 6, 8, 9])


def test_what_is_heard_when() -> None:
    classes, ends = np.array([0, 7, 3]), np.array([100, 300, 400])
    assert list(sounding(classes, ends, -200, 7, 100)) == [0, 0, 0, 7, 7, 3, 0]


def test_pitch_is_moved_and_stretched_around_its_mean() -> None:
    pitch = np.array([0, 100, 200, 0], np.float32)
    moved = intoned(pitch, Manner(pitch=12, liveliness=2))
    mean = 2 * 100 * 2**0.5
    assert np.allclose(moved, [0, mean / 2, mean * 2, 0], rtol=1e-5)


def test_manners_differ_from_text_to_text_within_their_bounds(tmp_path: Path) -> None:
    of = job(tmp_path)
    manners = [manner(of, number) for number in range(200)]
    assert manners[3] == manner(of, 3)
    assert all(0.85 <= m.speed <= 1.15 and abs(m.pitch) <= 2 and 0.7 <= m.liveliness <= 1.5 for m in manners)
    assert np.std([m.pitch for m in manners]) > 0.7


def test_loudness_is_of_the_sounding_parts() -> None:
    tone = np.sin(np.arange(SAMPLE_RATE) * 0.3).astype(np.float32)
    quiet = np.concatenate([0.01 * tone, np.zeros(SAMPLE_RATE, np.float32)])
    made = levelled(quiet, -23.0)
    assert 20 * np.log10(np.square(made[:SAMPLE_RATE]).mean() ** 0.5) == pytest.approx(-23, abs=0.1)
    clicks = np.where(np.arange(SAMPLE_RATE) % 240 == 0, 1.0, 0.0).astype(np.float32)
    assert np.abs(levelled(clicks, -6.0)).max() == pytest.approx(0.95)


@pytest.mark.models
def test_the_teacher_says_a_text_and_when_each_sound_is_heard() -> None:
    teacher = Teacher()
    teacher.load()
    take = teacher.say("Yes. See you on Sunday!", Manner(), seed=1)
    assert len(take.phones) == len(take.ends)
    assert take.ends == sorted(take.ends)
    assert take.ends[-1] == len(take.sound)
    assert set(take.phones) <= set(phones())
    sibilants = [i for i, phone in enumerate(take.phones) if phone in "sz"]
    vowels = [i for i, phone in enumerate(take.phones) if phone in "ɛiu"]

    def brightness(index: int) -> float:
        """Share of the energy above 4 kHz."""
        power = np.abs(np.fft.rfft(take.sound[take.ends[index - 1] : take.ends[index]])) ** 2
        return float(power[len(power) // 3 :].sum() / power.sum())

    assert np.median([brightness(i) for i in sibilants]) > 5 * np.median([brightness(i) for i in vowels])


@pytest.mark.models
def test_a_corpus_that_was_killed_goes_on_and_is_the_same(tmp_path: Path) -> None:
    whole = job(tmp_path, sentences=6, shard=3)
    make_corpus(whole)
    before = [clip.pcm.tobytes() for clip in read_corpus(corpus_folder(whole))]
    first, second = (corpus_folder(whole) / name for name in ("00000.jsonl", "00001.jsonl"))
    untouched = first.stat().st_mtime_ns
    second.unlink()
    make_corpus(whole)
    assert [clip.pcm.tobytes() for clip in read_corpus(corpus_folder(whole))] == before
    assert first.stat().st_mtime_ns == untouched
    manifest = json.loads((corpus_folder(whole) / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["source"]["licence"] == "Apache-2.0"
    assert manifest["utterances"] == 6


def record(folder: Path, name: str, text: str | None, rate: int = 44_100) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tone = 0.2 * np.sin(np.arange(rate // 2) * 2 * np.pi * 300 / rate)
    soundfile.write(folder / f"{name}.wav", np.concatenate([np.zeros(rate), tone, np.zeros(rate)]), rate)
    if text is not None:
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")


def test_recordings_are_taken_in_trimmed_and_at_our_rate(tmp_path: Path) -> None:
    record(tmp_path / "in" / "anna", "one", "At 9:30,\nplease.")
    record(tmp_path / "in" / "ben", "two", "Hello.", 16_000)
    of = job(tmp_path / "out", recordings=tmp_path / "in", licence="my own voice")
    make_corpus(of)
    clips = read_corpus(corpus_folder(of))
    assert [clip.line.speaker for clip in clips] == ["anna", "ben"]
    assert clips[0].line.text == "At nine thirty, please."
    assert clips[0].line.written == "At 9:30, please."
    for clip in clips:
        assert 0.5 <= clip.line.length / SAMPLE_RATE < 0.6
        spectrum = np.abs(np.fft.rfft(clip.sound[1200:10800]))
        assert abs(spectrum.argmax() * SAMPLE_RATE / 9600 - 300) < 5


@pytest.mark.parametrize(
    ("fields", "text", "rate", "error"),
    [
        ({"licence": "mine"}, None, 44_100, "no transcript"),
        ({}, "Hello.", 44_100, "under which licence"),
        ({"licence": "mine"}, "Hello.", 8_000, "at least 16000"),
    ],
)
def test_recordings_that_will_not_do_are_named(
    tmp_path: Path, fields: dict[str, str], text: str | None, rate: int, error: str
) -> None:
    record(tmp_path / "in", "one", text, rate)
    with pytest.raises(JobError, match=error):
        make_corpus(job(tmp_path / "out", recordings=tmp_path / "in", **fields))


def test_an_empty_folder_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="is no folder"):
        make_corpus(job(tmp_path / "out", recordings=tmp_path / "nowhere"))


def test_the_shipped_jobs_are_valid() -> None:
    for path in (Path(corpus.__file__).parent / "jobs").glob("*.toml"):
        assert read_voice_job(path).model().codec.dim


def test_help_explains_every_field() -> None:
    lines = [line.strip() for line in describe().splitlines()[1:] if not line.strip().startswith("[")]
    assert len(lines) == len(CorpusJob.model_fields) + len(CodecJob.model_fields) + len(Job.model_fields) - 2
    assert [line for line in lines if line.endswith(":")] == []


def test_a_job_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_text('name = "x"\nfolder = "x"\n[codec]\nstep = 3\n')
    with pytest.raises(JobError, match=r"codec\.step: Extra inputs are not permitted"):
        read_job(path)
    path.write_text('name = "x"\nfolder = "x"\n[codec]\nencoder = "1,1"\n')
    with pytest.raises(JobError, match=r"codec\.encoder"):
        read_job(path).model()
