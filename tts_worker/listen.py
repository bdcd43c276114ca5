"""Every join of a stream looked at: `python -m tts_worker seams`.

Exit code 1 when one can be heard, 2 when that could not be tried.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from services.errors import ServiceError
from tts_worker.casting import Open
from tts_worker.engine import Sound
from tts_worker.recording import RecordingError, read
from tts_worker.request import Audio, Phrase
from tts_worker.say import perform
from tts_worker.seams import Join, seam_at, table
from tts_worker.sound import Encoding, frame_samples
from tts_worker.studio import Studio

_SILENCE = 0.05
"""Seconds around a stream, so that its beginning and its end are joins like others."""
Messages = Sequence[tuple[Audio, bytes]]


@dataclass(frozen=True)
class Trial:
    """What `seams` was asked to speak."""

    phrases: tuple[str, ...]
    resume: bool
    """Let another worker go on in the middle of each phrase."""
    voice: str
    language: str
    rate: int
    seed: int

    @property
    def opening(self) -> Open:
        """Of its stream."""
        return Open(self.voice, self.language, self.rate, Encoding.PCM_S16LE, self.seed)


def try_engine(worker: Callable[[], Studio], trial: Trial) -> NoReturn:
    """Speak, and look at every join. `worker` makes one that is not started yet."""
    try:
        joins = asyncio.run(joins_of_trial(worker, trial))
    except ServiceError as error:
        _give_up(f"cannot say that: {error}")
    _judge(joins)


def try_recording(path: Path, places: Sequence[float]) -> NoReturn:
    """Look at a WAV file at places in seconds."""
    if not places:
        _give_up("--wav needs --at: seconds at which to look")
    try:
        samples, rate = read(path)
    except RecordingError as error:
        _give_up(str(error))
    length = len(samples) / rate
    for place in places:
        if not 0 <= place <= length:
            _give_up(f"--at {place:g}: the recording is {length:.3f} s long")
    _judge([Join(path.name, place, seam_at(samples, rate, round(place * rate))) for place in places])


def _judge(joins: Sequence[Join]) -> NoReturn:
    sys.stdout.write(table(joins))
    sys.exit(int(any(join.seam.audible for join in joins)))


def _give_up(why: str) -> NoReturn:
    sys.stderr.write(f"{why}\n")
    sys.exit(2)


async def joins_of_trial(worker: Callable[[], Studio], trial: Trial) -> list[Join]:
    """The joins of the stream, and those with a second worker, which comes when the first has gone."""
    phrases = [Phrase(number, text) for number, text in enumerate(trial.phrases, 1)]
    async with _started(worker) as first:
        messages = await perform(first, trial.opening, phrases)
    joins = joins_of(messages, trial.rate)
    if trial.resume:
        async with _started(worker) as second:
            for phrase in phrases:
                spoken = [message for message in messages if message[0].phrase_id == phrase.phrase_id]
                if len(spoken) > 1:
                    joins.append(await _handed_over(second, trial, phrase, spoken))
    return joins


@asynccontextmanager
async def _started(worker: Callable[[], Studio]) -> AsyncIterator[Studio]:
    stage = worker()
    try:
        await stage.start()
        yield stage
    finally:
        await stage.close()


def joins_of(messages: Messages, rate: int) -> list[Join]:
    """Between phrases, between pieces, and with the silence around."""
    around = round(_SILENCE * rate)
    samples = np.pad(_sound(messages), around)
    size = frame_samples(rate)
    joins, before = [], None
    for index, (audio, _) in enumerate(messages):
        if where := _border(before, audio):
            joins.append(Join(where, index * size / rate, seam_at(samples, rate, around + index * size)))
        before = audio
    end = len(messages) * size
    return [*joins, Join("end", end / rate, seam_at(samples, rate, around + end))]


def _border(before: Audio | None, audio: Audio) -> str:
    """What begins with a message; empty in the midst of a piece."""
    if before is None:
        return "beginning"
    if before.phrase_id != audio.phrase_id:
        return f"phrase {before.phrase_id} to {audio.phrase_id}"
    return "" if audio.piece_frame else f"phrase {audio.phrase_id}, piece to piece"


async def _handed_over(stage: Studio, trial: Trial, phrase: Phrase, spoken: Messages) -> Join:
    """A phrase whose second half is another worker's."""
    half = len(spoken) // 2
    resumed = await perform(stage, replace(trial.opening, resume=spoken[half - 1][0].resume), [phrase])
    samples, whole = _sound([*spoken[:half], *resumed]), _sound(spoken)
    place = half * frame_samples(trial.rate)
    length = min(len(samples), len(whole))
    off = float(np.abs(samples[:length] - whole[:length]).max())
    where = f"phrase {phrase.phrase_id}, worker to worker ({'identical' if not off else f'differs by {off:.5f}'})"
    return Join(where, place / trial.rate, seam_at(samples, trial.rate, place))


def _sound(messages: Messages) -> Sound:
    pcm = np.frombuffer(b"".join(data for _, data in messages), "<i2")
    return np.asarray(pcm / 32768, np.float32)
