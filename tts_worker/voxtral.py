"""The flow-matching engine: phrases of text in slots of a runner, pieces of sound out. See `tts_worker.engine`."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from services.errors import Busy, InternalError, InvalidRequest, ServiceError
from tts_worker.engine import FRAME, SAMPLE_RATE, EngineError, Mark, Piece, Sound, Utterance, Voice
from tts_worker.model.files import Files, ModelFiles
from tts_worker.model.flow import GUIDANCE
from tts_worker.model.frames import END
from tts_worker.model.prompt import text_ids, voice_ids
from tts_worker.normalise import Normalised, normalise
from tts_worker.pieces import Frames, Pace, joined, longest, pack, piece_length, piece_start, unpack
from tts_worker.runner import Beginning, Runner
from tts_worker.sound import HISTORY

log = logging.getLogger(__name__)

_REGIONS = {
    "en": ("en-US", "en-GB"), "fr": ("fr-FR",), "de": ("de-DE",), "es": ("es-ES",), "nl": ("nl-NL",),
    "pt": ("pt-PT", "pt-BR"), "it": ("it-IT",), "hi": ("hi-IN",), "ar": ("ar",),
}  # fmt: skip
"""Languages of the family."""


@dataclass(eq=False)
class Speaking:
    """One phrase under way."""

    utterance: Utterance
    spoken: Normalised
    """The text as the model reads it."""
    slot: int
    most: int
    """Frames after which it is ended."""
    piece: int
    """Index of the next piece."""
    frames: list[Frames] = field(default_factory=list)
    """All so far, [books] each, shifted; without END."""
    decoded: int = 0
    ended: bool = False
    remade: bool = False
    """The next piece was made before: its frames are there."""
    tail: Sound = field(default_factory=lambda: np.zeros(HISTORY, np.float32))
    """The end of the sound so far."""

    @property
    def due(self) -> bool:
        """The next piece can be decoded. One that is not the first waits for a frame more, which may be the end: who
        gets a phrase's last sound is told so with it."""
        waiting = len(self.frames) - self.decoded
        wanted = piece_length(self.piece)
        return self.ended or self.remade or waiting >= wanted + (self.piece > 0)


class VoxtralEngine:
    """`files` says what is loaded; the cache takes at most `slots` phrases of `length` positions."""

    def __init__(self, files: Files, slots: int, length: int) -> None:
        self._files, self._slots, self._length = files, slots, length
        self._free: list[int] = []
        self._paces: dict[str, Pace] = {}
        self._loaded: ModelFiles | None = None
        self._runner: Runner | None = None

    @property
    def model(self) -> str:
        """Name and fingerprint of the weights."""
        return self._files.name

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The reference voices."""
        return tuple(Voice(name, _languages(name), "reference voice") for name in self._files.voice_names)

    @property
    def clones(self) -> bool:
        """Not yet, whether or not the model has an encoder."""
        return False

    @property
    def batch(self) -> int:
        """All slots."""
        return self._slots

    def load(self) -> None:
        """Read the weights, make the cache, compute what phrases of a voice share. Raises EngineError."""
        self._loaded = self._files.load(self._length)
        model = self._loaded.model
        if (model.config.codec.sampling_rate, model.config.codec.frame) != (SAMPLE_RATE, FRAME):
            raise EngineError(f"{self.model}: the codec must give frames of {FRAME} samples at {SAMPLE_RATE} Hz")
        model.decoder.fold()
        self._runner = Runner(model, self._slots, self._length)
        for name, rows in self._loaded.voices.items():
            self._runner.add_voice(name, voice_ids(self._loaded.tokenizer, len(rows)), rows)
            self._paces[name] = Pace()
        for voice in self.voices:
            for language in voice.languages:
                normalise("", language)  # reads the language's data now and not while a caller waits
        self._free = list(range(self._slots))

    def begin(self, utterance: Utterance) -> Speaking:
        """Take a slot and read the prompt. Raises Busy and InvalidRequest."""
        runner, files = self._running()
        if utterance.speed != 1.0:
            raise InvalidRequest("open.speed", f"{utterance.speed:g}; this engine speaks at its own speed, 1")
        spoken = normalise(utterance.text, utterance.language or _languages(utterance.voice)[0])
        ids = text_ids(files.tokenizer, spoken.text)
        room = runner.length - runner.positions(utterance.voice, ids, 0)
        if room <= 0:
            raise InvalidRequest(
                "phrase.text", f"{len(ids)} tokens are more than a stream has room for; send it in parts"
            )
        if not self._free:
            raise Busy(f"all {self._slots} slots speak")
        try:
            made = unpack(utterance.state, files.model.config.audio.codebooks)
        except ValueError as error:
            raise InvalidRequest("open.resume", str(error)) from None
        speech = Speaking(utterance, spoken, min(self._free), min(room, longest(spoken.text)), utterance.piece)
        self._free.remove(speech.slot)
        try:
            self._enter(speech, ids, made)
        except BaseException:
            self.end(speech)
            raise
        return speech

    def _enter(self, speech: Speaking, ids: list[int], made: Frames) -> None:
        runner, _ = self._running()
        if len(made) and made[-1, 0] == END:
            made, speech.ended = made[:-1], True
        speech.frames = list(made)
        speech.decoded = min(piece_start(speech.piece), len(made))
        speech.remade = len(made) > speech.decoded
        utterance = speech.utterance
        guidance = GUIDANCE if utterance.guidance is None else utterance.guidance
        frames = torch.from_numpy(made.astype(np.int64)) if len(made) else None
        runner.begin(Beginning(speech.slot, utterance.voice, ids, utterance.seed, guidance, frames))
        if frames is not None and speech.decoded:
            sound = runner.decode([speech.slot], frames[None, : speech.decoded]).numpy()[0]
            speech.tail = np.concatenate((speech.tail, sound))[-HISTORY:]

    def step(self, speeches: Sequence[Speaking]) -> list[Piece | ServiceError | None]:
        """One frame for each that needs one, and the sound of those whose piece is complete."""
        runner, _ = self._running()
        results: dict[Speaking, Piece | ServiceError | None] = {}
        if going := [speech for speech in speeches if not speech.due]:
            frames, finite = runner.step([speech.slot for speech in going])
            for speech, frame, fine in zip(going, frames.numpy().astype(np.uint16), finite.tolist(), strict=True):
                self._take(speech, frame)
                if not fine:
                    log.error("a stream had numbers that are not finite")
                    self.end(speech)
                    results[speech] = InternalError("the voice broke; its phrase cannot go on")
        results |= self._pieces([speech for speech in speeches if speech.due and speech not in results])
        return [results.get(speech) for speech in speeches]

    def end(self, speech: Speaking) -> None:
        """Free the slot."""
        self._free.append(speech.slot)

    def _take(self, speech: Speaking, frame: Frames) -> None:
        if frame[0] == END:
            speech.ended = True
        else:
            speech.frames.append(frame)
            if len(speech.frames) >= speech.most:
                log.warning("a phrase found no end", extra={"frames": len(speech.frames)})
                speech.ended = True

    def _pieces(self, due: Sequence[Speaking]) -> dict[Speaking, Piece | ServiceError | None]:
        """The next piece of each, decoded together where they are equally long."""
        runner, files = self._running()
        books = files.model.config.audio.codebooks
        groups: dict[int, list[Speaking]] = {}
        for speech in due:
            groups.setdefault(self._count(speech), []).append(speech)
        made: dict[Speaking, Piece | ServiceError | None] = {}
        for count, group in groups.items():
            if not count:  # the end came right behind what was sent as not the last
                made |= {speech: self._piece(speech, np.zeros(FRAME, np.float32), 0, books) for speech in group}
                continue
            frames = np.stack([joined(s.frames[s.decoded : s.decoded + count], books) for s in group])
            sounds = runner.decode([s.slot for s in group], torch.from_numpy(frames.astype(np.int64)))
            made |= {s: self._piece(s, sound, count, books) for s, sound in zip(group, sounds.numpy(), strict=True)}
        return made

    @staticmethod
    def _count(speech: Speaking) -> int:
        """Frames of its next piece."""
        waiting = len(speech.frames) - speech.decoded
        wanted = piece_length(speech.piece)
        # A last piece may be one longer than others: the frame that was waited for was no end, but the next one is.
        return waiting if speech.ended and waiting <= wanted + 1 else min(waiting, wanted)

    def _piece(self, speech: Speaking, sound: Sound, count: int, books: int) -> Piece:
        first, end = speech.decoded, speech.decoded + count
        last = speech.ended and end == len(speech.frames)
        text, pace = speech.spoken.text, self._paces[speech.utterance.voice]
        made = joined(speech.frames[:end], books)
        if last:
            made = np.concatenate((made, np.array([[END] + [0] * (books - 1)], np.uint16)))
            pace.learn(text, end)
            self.end(speech)
        before, speech.tail = speech.tail, np.concatenate((speech.tail, sound))[-HISTORY:]
        speech.decoded, speech.remade = end, False
        speech.piece += 1
        marks = [_traced(mark, speech, last) for mark in pace.marks(text, first, max(end, first + 1), last)]
        return Piece(sound, tuple(marks), last, pack(made), before)

    def _running(self) -> tuple[Runner, ModelFiles]:
        if self._runner is None or self._loaded is None:
            raise RuntimeError("load() comes first")
        return self._runner, self._loaded


def from_folder(folder: Path, device: str, slots: int, length: int) -> VoxtralEngine:
    """The engine of a model's folder, not loaded. `device`: auto takes a GPU where there is one. Raises EngineError."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return VoxtralEngine(Files(folder, torch.float32 if device == "cpu" else torch.bfloat16, device), slots, length)


def _traced(mark: Mark, speech: Speaking, last: bool) -> Mark:
    """A mark in the spoken text as one in the text that was sent. That is said to its end only by the last piece, also
    where words of the normaliser's own follow it."""
    sent = speech.spoken.origins[mark.code_point]
    complete = last and mark.code_point == len(speech.spoken.text)
    return Mark(mark.sample, sent if complete else min(sent, len(speech.utterance.text) - 1))


def _languages(voice: str) -> tuple[str, ...]:
    """By the published names: `fr_male` speaks French, `casual_male` English."""
    return _REGIONS.get(voice.split("_")[0], _REGIONS["en"])
