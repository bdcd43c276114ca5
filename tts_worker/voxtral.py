"""The flow-matching engine: phrases of text in slots of a runner, pieces of sound out. See `tts_worker.engine`."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from services.errors import Busy, InternalError, InvalidRequest, ServiceError
from tts_worker.engine import FRAME, SAMPLE_RATE, EngineError, Piece, Sound, Utterance, Voice
from tts_worker.lane import Download
from tts_worker.model.files import Files, ModelFiles, Source
from tts_worker.model.flow import GUIDANCE
from tts_worker.model.precision import Precision
from tts_worker.model.prompt import text_ids, voice_ids
from tts_worker.model.voices import languages
from tts_worker.normalise import normalise
from tts_worker.pieces import Frames, Pace, checked, longest, unpack
from tts_worker.room import Room
from tts_worker.runner import Beginning, Made, Prefix, Runner, sound_of
from tts_worker.speaking import Cut, Speaking
from tts_worker.tuning import Tuning, tuned

log = logging.getLogger(__name__)
_CLONES_KEPT = 16
"""Voices from recordings that stay in memory when nobody speaks with them."""
_HEARD_AT_ONCE = 64
"""Frames of another worker's that the codec sees again in one go: its cost grows with their square."""
_FIXED = 5
"""Positions of a phrase that do not grow with its text."""


@dataclass(frozen=True)
class _Entry:
    """A phrase whose prompt is still to be read."""

    speech: Speaking
    beginning: Beginning
    heard: Frames
    """Of another worker's: the codec has to see them again."""


@dataclass(frozen=True)
class _Decoding:
    """Pieces of equal length on their way through the codec."""

    cuts: list[tuple[Speaking, Cut]]
    download: Download


class VoxtralEngine:
    """`files` says what is loaded, `room` how much memory phrases may take."""

    def __init__(self, files: Source, room: Room, tune: Callable[[str, int], Tuning] = tuned) -> None:
        self._files, self._room, self._tune = files, room, tune
        self._slots = room.slots(files.config, files.bytes_per_number)
        self._free: list[int] = list(range(self._slots))
        self._paces: dict[str, Pace] = {}
        self._voices: dict[str, Prefix] = {}
        self._clones: OrderedDict[str, Prefix] = OrderedDict()
        self._loaded: ModelFiles | None = None
        self._runner: Runner | None = None
        self._entries: list[_Entry] = []  # their prompts are read in the next step
        self._steps: list[tuple[list[Speaking], Made]] = []  # started, oldest first
        self._decodings: list[_Decoding] = []

    @property
    def model(self) -> str:
        """Name and fingerprint of the weights."""
        return self._files.name

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The reference voices."""
        return tuple(Voice(name, languages(name), "reference voice") for name in self._files.voice_names)

    @property
    def clones(self) -> bool:
        """Where the model has the codec's encoder."""
        return self._loaded is not None and self._loaded.model.encoder is not None

    @property
    def batch(self) -> int:
        """All slots."""
        return self._slots

    def load(self) -> None:
        """Read the weights, make the cache, compute what phrases of a voice share. Raises EngineError."""
        loaded = self._files.load(self._room.positions)
        model = loaded.model
        if (model.config.codec.sampling_rate, model.config.codec.frame) != (SAMPLE_RATE, FRAME):
            raise EngineError(f"{self.model}: the codec must give frames of {FRAME} samples at {SAMPLE_RATE} Hz")
        try:
            tuning = self._tune(self._files.device, self._slots)
            runner = Runner(model, self._slots, self._room.positions, tuning)
        except torch.OutOfMemoryError as error:
            raise EngineError(f"{self._slots} slots do not fit into the device's memory: {error}") from None
        for name, rows in loaded.voices.items():
            self._voices[name] = runner.voice(voice_ids(loaded.tokenizer, len(rows)), rows)
        for language in {language for voice in self.voices for language in voice.languages}:
            normalise("", language)  # reads the language's data now and not while a caller waits
        self._loaded, self._runner = loaded, runner
        log.info("slots", extra={"slots": self._slots, "positions": self._room.positions})

    # -- phrases -----------------------------------------------------------------------------------------------------

    def begin(self, utterance: Utterance) -> Speaking:
        """Take a slot; the prompt is read with the next step. Raises Busy and InvalidRequest."""
        runner, files = self._running()
        if utterance.speed != 1.0:
            raise InvalidRequest("open.speed", f"{utterance.speed:g}; this engine speaks at its own speed, 1")
        prefix = self._prefix(utterance)
        spoken = normalise(utterance.text, utterance.language or languages(utterance.voice)[0])
        ids = text_ids(files.tokenizer, spoken.text)
        space, needed = runner.length - prefix.length - 1, self._pace(utterance).needed(spoken.text)
        room = space - len(ids)
        # Another worker, with another pace, has found that a phrase under way fits.
        if room < needed and not utterance.state:
            fitting = max(0, (space - _FIXED) * len(utterance.text) // (len(ids) + needed - _FIXED) - 1)
            problem = f"{len(utterance.text)} characters; a phrase has room for about {fitting}, send it in parts"
            raise InvalidRequest("phrase.text", problem)
        audio = files.model.config.audio
        try:
            made = checked(unpack(utterance.state, audio.codebooks), utterance.piece, audio)
            if len(made) > room:
                raise ValueError(f"{len(made)} frames; a phrase has room for {room}")
        except ValueError as error:
            raise InvalidRequest("open.resume", str(error)) from None
        if not self._free:
            raise Busy(f"all {self._slots} slots speak")
        slot, most = min(self._free), max(needed, longest(spoken.text))
        speech = Speaking(utterance, spoken, slot, most, room, audio.codebooks, utterance.piece)
        self._free.remove(slot)
        heard = speech.go_on_from(made)
        guidance = GUIDANCE if utterance.guidance is None else utterance.guidance
        beginning = Beginning(speech.slot, prefix, ids, utterance.seed, guidance, speech.frames.copy())
        self._entries.append(_Entry(speech, beginning, heard))
        return speech

    def _prefix(self, utterance: Utterance) -> Prefix:
        """Of a voice, or of a recording, whose turn it is to be forgotten last."""
        runner, files = self._running()
        if utterance.reference is None:
            return self._voices[utterance.voice]
        key = utterance.reference_key
        if key not in self._clones:
            positions = len(utterance.reference) // FRAME + 5
            if positions >= runner.length:
                raise InvalidRequest("open.reference_audio", f"takes {positions} positions of {runner.length}; cut it")
            rows = runner.rows_of(utterance.reference)
            self._clones[key] = runner.voice(voice_ids(files.tokenizer, len(rows)), rows)
        self._clones.move_to_end(key)
        while len(self._clones) > _CLONES_KEPT:
            self._clones.popitem(last=False)
        return self._clones[key]

    def _pace(self, utterance: Utterance) -> Pace:
        return self._paces.setdefault(utterance.voice, Pace())  # recordings share one: they come and go

    def end(self, speech: Speaking) -> None:
        """Free the slot."""
        runner, _ = self._running()
        if not speech.gone:
            speech.gone = True
            self._free.append(speech.slot)
            runner.leave(speech.slot)

    # -- steps -------------------------------------------------------------------------------------------------------

    def step(self, speeches: Sequence[Speaking]) -> list[Piece | ServiceError | None]:
        """One frame for each that needs one, and the sound of those whose piece is complete.

        Where the device works beside the host, a step's frames are looked at when the next step has been started, and
        sound when it is there: the device is never idle while there is something to say.
        """
        runner, _ = self._running()
        self._enter()
        if hungry := [speech for speech in speeches if speech.hungry]:
            for speech in hungry:
                speech.asked += 1
            self._steps.append((hungry, runner.step([speech.slot for speech in hungry])))
        while len(self._steps) > (runner.tuning.ahead if hungry else 0):
            self._collect(*self._steps.pop(0))
        results: dict[Speaking, Piece | ServiceError] = {}
        for speech in speeches:
            if speech.failed:
                self.end(speech)
                results[speech] = speech.failed
        self._cut([speech for speech in speeches if speech.due])
        results |= self._pieces(wait=not self._steps)
        return [results.get(speech) for speech in speeches]

    def _enter(self) -> None:
        """Read prompts of new phrases, so many as are read together: those who speak wait for it."""
        runner, _ = self._running()
        waiting = [entry for entry in self._entries if not entry.speech.gone]  # some have left again
        entries, self._entries = waiting[: runner.tuning.prompts], waiting[runner.tuning.prompts :]
        if entries:
            runner.begin([entry.beginning for entry in entries])
        for entry in entries:
            entry.speech.entered = True
            for first in range(0, len(entry.heard), _HEARD_AT_ONCE):
                part = entry.heard[None, first : first + _HEARD_AT_ONCE]
                entry.speech.recall(sound_of(runner.decode([entry.speech.slot], part))[0])

    def _collect(self, speeches: list[Speaking], made: Made) -> None:
        """What has come of a step."""
        for speech, frame, finite in zip(speeches, *made.take(), strict=True):
            if not speech.take(frame):
                log.warning("a phrase found no end", extra={"frames": speech.made})
            if not finite and not speech.gone:
                log.error("a stream had numbers that are not finite")
                speech.failed = InternalError("the voice broke; its phrase cannot go on")

    def _cut(self, due: Sequence[Speaking]) -> None:
        """Begin to decode the next piece of each, together where they are equally long."""
        runner, _ = self._running()
        groups: dict[int, list[tuple[Speaking, Cut]]] = {}
        for speech in due:
            cut = speech.next_cut()
            groups.setdefault(len(cut.frames), []).append((speech, cut))
        for count, cuts in groups.items():
            slots, frames = [speech.slot for speech, _ in cuts], np.stack([cut.frames for _, cut in cuts])
            download = runner.decode(slots, frames) if count else Download((torch.zeros(len(cuts), 0),), None)
            self._decodings.append(_Decoding(cuts, download))

    def _pieces(self, wait: bool) -> dict[Speaking, Piece | ServiceError]:
        """Pieces whose sound is there; all of them where there is nothing else to wait for."""
        done = [decoding for decoding in self._decodings if wait or decoding.download.ready]
        self._decodings = [decoding for decoding in self._decodings if decoding not in done]
        pieces: dict[Speaking, Piece | ServiceError] = {}
        for decoding in done:
            for (speech, cut), sound in zip(decoding.cuts, sound_of(decoding.download), strict=True):
                if not speech.gone:
                    pieces[speech] = self._piece(speech, cut, sound)
        return pieces

    def _piece(self, speech: Speaking, cut: Cut, sound: Sound) -> Piece:
        pace = self._pace(speech.utterance)
        piece = speech.piece_of(cut, sound, pace)
        if cut.last:
            pace.learn(speech.spoken.text, speech.made)
            self.end(speech)
        return piece

    def _running(self) -> tuple[Runner, ModelFiles]:
        if self._runner is None or self._loaded is None:
            raise RuntimeError("load() comes first")
        return self._runner, self._loaded


def from_folder(
    folder: Path, device: str, precision: Precision | Literal["auto"], room: Room, compiled: bool = False
) -> VoxtralEngine:
    """The engine of a model's folder, not loaded. `device`: auto takes a GPU where there is one. `precision`: auto is
    bfloat16 on a GPU, else float32. Raises EngineError."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        files = Files(folder, torch.float32, device, "float32" if precision == "auto" else precision)
    else:
        files = Files(folder, torch.float32 if precision == "float32" else torch.bfloat16, device)
    return VoxtralEngine(files, room, partial(tuned, compiled=compiled))
