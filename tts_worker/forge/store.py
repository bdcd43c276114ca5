"""A corpus on disk: shards of 16 bit samples that are mapped, not read, and a line of JSON for each utterance.

A shard appears complete or not at all, so that a corpus that was being made when it was killed goes on where it was.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tts_worker.engine import SAMPLE_RATE, Sound
from tts_worker.forge.job import JobError

MANIFEST = "manifest.json"
Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Line:
    """What is known of an utterance."""

    text: str
    """As it is said: numbers and the like written out."""
    written: str
    """Before that."""
    speaker: str
    held_out: bool
    start: int
    length: int
    """Samples."""
    phones: str = ""
    ends: tuple[int, ...] = ()
    """Sounds and where they end, in samples from the start; none for recordings."""


@dataclass(frozen=True)
class Clip:
    """An utterance, its samples still on the disk."""

    line: Line
    shard: Pcm
    name: str
    """Of the shard."""

    @property
    def pcm(self) -> Pcm:
        """All of it."""
        return self.shard[self.line.start : self.line.start + self.line.length]

    @property
    def sound(self) -> Sound:
        """All of it, −1 to 1."""
        return floats(self.pcm)


def floats(pcm: Pcm) -> Sound:
    """16 bit → −1 to 1."""
    return pcm.astype(np.float32) / np.float32(32768)


def shard_name(index: int) -> str:
    """Without its endings."""
    return f"{index:05d}"


def write_shard(folder: Path, index: int, utterances: Iterable[tuple[Line, Sound]]) -> None:
    """Store utterances; `start` and `length` of their lines are filled in here."""
    lines, parts, start = [], [], 0
    for line, sound in utterances:
        parts.append(np.round(np.clip(sound, -1, 1) * 32767).astype(np.int16))
        lines.append(json.dumps(asdict(line) | {"start": start, "length": len(sound)}, ensure_ascii=False))
        start += len(sound)
    write_whole(folder / f"{shard_name(index)}.npy", np.concatenate(parts) if parts else np.zeros(0, np.int16))
    temporary = folder / f"{shard_name(index)}.tmp"
    temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    temporary.replace(folder / f"{shard_name(index)}.jsonl")


def write_whole(path: Path, numbers: Pcm) -> None:
    """A file that appears complete or not at all."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        np.save(file, numbers)
    temporary.replace(path)


def done(folder: Path, index: int) -> bool:
    """Whether a shard is there."""
    return (folder / f"{shard_name(index)}.jsonl").exists()


def _clips(folder: Path) -> Iterator[Clip]:
    for path in sorted(folder.glob("*.jsonl")):
        shard = np.load(path.with_suffix(".npy"), mmap_mode="r")
        for text in path.read_text(encoding="utf-8").splitlines():
            fields = json.loads(text)
            yield Clip(Line(**fields | {"ends": tuple(fields["ends"])}), shard, path.stem)


def read_corpus(folder: Path) -> list[Clip]:
    """Every utterance that is there. Raises JobError if there is none."""
    clips = list(_clips(folder))
    if not clips:
        raise JobError(f"{folder} holds no corpus; make it first: python -m tts_worker.forge corpus JOB")
    return clips


def seconds(clips: Sequence[Clip]) -> float:
    """Of sound."""
    return sum(clip.line.length for clip in clips) / SAMPLE_RATE
