"""A task run through an engine: what a decoder thread does."""

import numpy as np

from stt_worker.engine import RATE, Decoding, Engine, Utterance
from stt_worker.pool import GiveUp
from stt_worker.sound import to_waveform
from stt_worker.transcript import Piece, PlacedWord, Task, Understood


def understand(task: Task, engine: Engine, give_up: GiveUp) -> tuple[Understood, ...] | None:
    """The words of each piece, in order; None if the engine gave up."""
    heard = []
    for piece in task.pieces:
        waveform = to_waveform(piece.samples, task.rate)
        decoding = engine.decode(Utterance(waveform, task.language, task.hints, task.words), give_up)
        if decoding is None:
            return None
        heard.append(_placed(decoding, piece, task.rate))
    return tuple(heard)


def warm_up(engine: Engine) -> None:
    """Decode a second of noise, so that the first caller does not wait for memory and kernels."""
    noise = np.random.default_rng(0).normal(0, 0.05, RATE).astype(np.float32)
    engine.decode(Utterance(noise, words=True), lambda: False)


def _placed(decoding: Decoding, piece: Piece, rate: int) -> Understood:
    last = piece.first + len(piece.samples)

    def position(seconds: float) -> int:
        return min(piece.first + round(seconds * rate), last)

    words = tuple(
        PlacedWord(word.text, position(word.start), position(word.end), word.confidence) for word in decoding.words
    )
    return Understood(decoding.text, words, decoding.no_speech)
