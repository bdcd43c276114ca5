"""`python -m stt_worker transcribe`: a recording in, its words out, by the same steps as a call, without a server."""

import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from services.errors import InvalidRequest, ServiceError
from stt_worker.build import engine
from stt_worker.config import SttSettings
from stt_worker.decoding import understand
from stt_worker.engine import Engine
from stt_worker.scheduler import Kind
from stt_worker.sound import Pcm
from stt_worker.stream import Stream
from stt_worker.transcript import Task, Understood, joined

RATES = range(8000, 48001)


def transcribe(settings: SttSettings, path: Path, hints: tuple[str, ...], words: bool) -> None:
    """Print the text, with `words` a line for each word: seconds from, to, confidence, word. Exits 1 on errors."""
    try:
        samples, rate = read_wav(path)
        understood = recognise(engine(settings), samples, rate, hints)
    except ServiceError as error:
        sys.exit(str(error))
    for line in _lines(understood, rate) if words else [understood.text]:
        sys.stdout.write(f"{line}\n")


def recognise(model: Engine, samples: Pcm, rate: int, hints: tuple[str, ...] = ()) -> Understood:
    """The words of a whole recording, however long."""
    stream = Stream(rate, "", hints, partial_seconds=1.0)
    step = rate // 10
    for first in range(0, len(samples), step):
        stream.hear(first, samples[first : first + step])
        if task := stream.settle():
            stream.learn(task, _understood(task, model))
    last = stream.task(Kind.FINAL, len(samples), words=True)
    return joined((*last.before, *_understood(last, model)))


def read_wav(path: Path) -> tuple[Pcm, int]:
    """Samples of the first channel, and the rate. Raises InvalidRequest."""
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate, frames, *_ = file.getparams()
            data = file.readframes(frames)
    except OSError as error:
        raise InvalidRequest(str(path), error.strerror or str(error)) from None
    except (wave.Error, EOFError) as error:
        raise InvalidRequest(str(path), f"not a WAV file of 16 bit samples: {error or 'it is cut off'}") from None
    if width != 2 or rate not in RATES:
        raise InvalidRequest(str(path), f"{8 * width} bits at {rate} Hz; 16 bits at 8000 to 48000 Hz are needed")
    return np.frombuffer(data, "<i2").astype(np.int16).reshape(-1, channels)[:, 0], rate


def _understood(task: Task, model: Engine) -> tuple[Understood, ...]:
    heard = understand(task, model, lambda: False)
    return heard or ()


def _lines(understood: Understood, rate: int) -> Iterator[str]:
    for word in understood.words:
        yield f"{word.first / rate:8.2f} {word.end / rate:8.2f} {word.confidence:5.2f}  {word.text}"
