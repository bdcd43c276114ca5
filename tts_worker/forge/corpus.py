"""Make the corpus of a job: (sound, text, speaker), cleaned, and a manifest of where it comes from."""

import json
from collections.abc import Iterator
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tts_worker.engine import Sound
from tts_worker.forge.job import CorpusJob, Job
from tts_worker.forge.recordings import Recording, recordings
from tts_worker.forge.sentences import held_out, sentence
from tts_worker.forge.store import MANIFEST, Line, done, read_corpus, seconds, write_shard
from tts_worker.forge.teacher import LICENCE, SPEAKER, Manner, Teacher
from tts_worker.normalise import normalise
from tts_worker.sound import faded, loud_windows, voiced_range

_LOUDEST = 0.95
LANGUAGE = "en-US"


def corpus_folder(job: Job) -> Path:
    """Where it is."""
    return job.folder / "corpus"


def make_corpus(job: Job) -> None:
    """All shards that are not there yet, then the manifest. Raises JobError."""
    folder = corpus_folder(job)
    folder.mkdir(parents=True, exist_ok=True)
    found = recordings(job.corpus) if job.corpus.recordings else []
    count = len(found) if job.corpus.recordings else job.corpus.sentences
    shards = [i for i in range(-(-count // job.corpus.shard)) if not done(folder, i)]
    tasks = [(job, index, found[index * job.corpus.shard : (index + 1) * job.corpus.shard]) for index in shards]
    with get_context("spawn").Pool(job.corpus.processes) as pool:
        for _ in tqdm(pool.imap_unordered(_shard, tasks), total=len(tasks), unit="shard", desc="corpus"):
            pass
    _write_manifest(job, folder)


def corpus_complete(job: Job) -> bool:
    """Whether all of it has been made."""
    return (corpus_folder(job) / MANIFEST).exists()


def _shard(task: tuple[Job, int, list[Recording]]) -> None:
    job, index, found = task
    utterances = _recorded(job.corpus, found) if job.corpus.recordings else _spoken(job, index)
    write_shard(corpus_folder(job), index, utterances)


def _spoken(job: Job, index: int) -> Iterator[tuple[Line, Sound]]:
    teacher = _teacher()
    first = index * job.corpus.shard
    for number in range(first, min(first + job.corpus.shard, job.corpus.sentences)):
        written = sentence(job.seed, number)
        text = normalise(written, LANGUAGE).text
        take = teacher.say(text, manner(job, number), seed=number)
        if len(take.sound):
            line = Line(text, written, SPEAKER, held_out(text), 0, 0, take.phones, tuple(take.ends))
            yield line, levelled(take.sound, job.corpus.loudness)


@cache
def _teacher() -> Teacher:
    """One a process."""
    teacher = Teacher()
    teacher.load()
    return teacher


def manner(job: Job, number: int) -> Manner:
    """How text `number` is said."""
    random = np.random.default_rng([job.seed, number])
    pitch = job.corpus.pitch * float(np.clip(random.standard_normal(), -2, 2))
    return Manner(float(random.uniform(*job.corpus.speed)), pitch, float(random.uniform(*job.corpus.liveliness)))


def _recorded(job: CorpusJob, found: list[Recording]) -> Iterator[tuple[Line, Sound]]:
    for recording in found:
        sound = recording.sound()
        begin, end = voiced_range(loud_windows(sound))
        if end > begin:
            text = normalise(recording.text, LANGUAGE).text
            line = Line(text, recording.text, recording.speaker, held_out(text), 0, 0)
            yield line, levelled(faded(sound[begin:end]), job.loudness)


def levelled(sound: Sound, loudness: float) -> Sound:
    """`sound` with its sounding parts at `loudness` dB of full scale, less where its peaks would not fit."""
    loud = loud_windows(sound)
    if not loud.any():
        return sound
    window = len(sound) // len(loud)
    power = float(np.square(sound[: len(loud) * window].reshape(len(loud), -1)[loud]).mean())
    gain = min(10 ** (loudness / 20) / max(power, 1e-12) ** 0.5, _LOUDEST / float(np.abs(sound).max()))
    return np.asarray(sound * gain, np.float32)


def _write_manifest(job: Job, folder: Path) -> None:
    clips = read_corpus(folder)
    held = [clip for clip in clips if clip.line.held_out]
    source = (
        {"recordings": str(job.corpus.recordings), "licence": job.corpus.licence}
        if job.corpus.recordings
        else {
            "teacher": f"{Teacher().model}, voice {SPEAKER}",
            "licence": LICENCE,
            "text": "tts_worker.forge.sentences",
        }
    )
    manifest = {
        "job": job.name,
        "seed": job.seed,
        "source": source,
        "speakers": sorted({clip.line.speaker for clip in clips}),
        "utterances": len(clips),
        "hours": round(seconds(clips) / 3600, 3),
        "held_out": {"utterances": len(held), "hours": round(seconds(held) / 3600, 3)},
        "phones": "".join(sorted({phone for clip in clips for phone in clip.line.phones})),
        "settings": job.corpus.model_dump(mode="json"),
    }
    text = json.dumps(manifest, ensure_ascii=False, indent=1)
    (folder / MANIFEST).write_text(f"{text}\n", encoding="utf-8")
