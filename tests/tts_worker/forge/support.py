"""A corpus of noise-like tones with made-up sounds, and a job that trains the smallest codec on it."""

from pathlib import Path

import numpy as np

from tts_worker.engine import SAMPLE_RATE
from tts_worker.forge.corpus import corpus_folder
from tts_worker.forge.job import Job
from tts_worker.forge.store import Line, write_shard
from tts_worker.forge.teacher import phones


def job(folder: Path, **codec: object) -> Job:
    """Of config `nano`, small enough for seconds."""
    settings = {"steps": 8, "batch": 2, "frames": 4, "threads": 1, "warm_up": 2, "save_every": 3} | codec
    return Job.model_validate({"name": "test", "folder": folder, "config": "nano", "codec": settings})


def make_tones(of: Job, utterances: int = 6) -> None:
    """Utterances of half a second to a second, of which each tenth of a second is another tone and another sound."""
    folder = corpus_folder(of)
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    known = phones()[1:]
    made = []
    for number in range(utterances):
        tones = random.integers(1, 9, 5 + number)
        each = SAMPLE_RATE // 10
        time = np.arange(each) / SAMPLE_RATE
        sound = np.concatenate([0.2 * np.sin(2 * np.pi * 200 * tone * time) for tone in tones]).astype(np.float32)
        ends = tuple(each * (i + 1) for i in range(len(tones)))
        text = f"utterance {number}"
        line = Line(text, text, "tones", number == 0, 0, 0, "".join(known[tone] for tone in tones), ends)
        made.append((line, sound))
    write_shard(folder, 0, made)
