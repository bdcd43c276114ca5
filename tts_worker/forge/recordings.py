"""A folder of recordings, each beside its transcript."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from tts_worker.engine import SAMPLE_RATE, Sound
from tts_worker.forge.job import CorpusJob, JobError

_KINDS = (".wav", ".flac", ".ogg", ".mp3")
_LEAST_RATE = 16_000


@dataclass(frozen=True)
class Recording:
    """A file of sound and what is said in it."""

    path: Path
    text: str
    speaker: str

    def sound(self) -> Sound:
        """At 24 kHz, the channels' mean. Raises JobError."""
        try:
            samples, rate = soundfile.read(self.path, dtype="float32", always_2d=True)
        except (OSError, soundfile.SoundFileError) as error:
            raise JobError(f"{self.path}: {error}") from None
        if rate < _LEAST_RATE:
            raise JobError(f"{self.path}: {rate} samples per second; a voice needs at least {_LEAST_RATE}")
        return np.asarray(soxr.resample(samples.mean(axis=1), rate, SAMPLE_RATE, quality="VHQ"), np.float32)


def recordings(job: CorpusJob) -> list[Recording]:
    """What is in the folder of a job, in order of names. Raises JobError: for a file without a transcript, and where
    nobody says under which licence the recordings may be used."""
    folder = job.recordings
    if folder is None or not folder.is_dir():
        raise JobError(f"corpus.recordings: {folder} is no folder")
    if not job.licence:
        raise JobError("corpus.licence: say under which licence the recordings may be used")
    sounds = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _KINDS)
    if not sounds:
        raise JobError(f"corpus.recordings: {folder} holds no sound file ({', '.join(_KINDS)})")
    if missing := [str(path) for path in sounds if not path.with_suffix(".txt").exists()]:
        raise JobError(f"no transcript (.txt) beside {', '.join(missing[:5])}; {len(missing)} in all")
    return [
        Recording(
            path,
            " ".join(path.with_suffix(".txt").read_text(encoding="utf-8").split()),
            job.speaker or path.parent.name,
        )
        for path in sounds
    ]
