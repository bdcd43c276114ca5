"""Utterances in the engine's layout: voice, text, frames. Which ones a step gets follows from seed and step alone."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tts_worker.engine import FRAME
from tts_worker.forge.codes import Coded, Frames
from tts_worker.forge.corpus import LANGUAGE
from tts_worker.forge.store import Clip, floats
from tts_worker.model.config import END, SPECIALS
from tts_worker.model.frames import end_frame
from tts_worker.model.prompt import text_ids, voice_ids
from tts_worker.model.tokenizer import Bytes
from tts_worker.normalise import normalise

TOKENIZER = Bytes()
Integers = npt.NDArray[np.int64]
_SILENT = -50.0
"""dB of full scale below which a frame is silent; speech of the corpus has some −23."""
VOICE = 4
"""Positions of a voice besides the frames of its reference."""
_NEAREST = 32
"""Utterances of about one length among which those of a step are drawn, at least."""


@dataclass(frozen=True)
class Example:
    """An utterance."""

    clip: Clip
    frames: Frames
    """[T, books] Codes without shift."""
    text: list[int]
    """The prompt behind the voice."""

    @property
    def length(self) -> int:
        """Positions without the voice."""
        return len(self.text) + len(self.frames)

    @cached_property
    def silent(self) -> npt.NDArray[np.bool_]:
        """[T] Which frames are; the sound is looked at once."""
        samples = floats(self.clip.pcm)
        frames = np.pad(samples, (0, -len(samples) % FRAME)).reshape(-1, FRAME)
        return np.asarray(np.square(frames).mean(axis=1) < 10 ** (_SILENT / 10))


@dataclass(frozen=True)
class SpeechBatch:
    """What a step learns from: B utterances of up to L positions, shorter ones padded at their ends.

    N frames are read as input, M codes are to be told, F of them with sound.
    """

    tokens: Tensor
    """[B, L] Text; where a frame is read, or nothing, any."""
    codes: Tensor
    """[N, books] Frames that are read, shifted."""
    places: Tensor
    """[N] Where, counted through [B · L]."""
    heard: Tensor
    """[M] Positions whose state tells a code, counted the same."""
    semantic: Tensor
    """[M] The codes, shifted; END after an utterance's last frame."""
    weight: Tensor
    """[M] What each counts."""
    sounding: Tensor
    """[F] Which of the M are frames."""
    acoustic: Tensor
    """[F, books − 1] Their other codes, without shift."""

    def to(self, device: torch.device) -> "SpeechBatch":
        """The same, elsewhere."""
        return SpeechBatch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def examples(clips: Sequence[Clip], coded: Sequence[Coded]) -> list[Example]:
    """Of a corpus and its codes, which have the same order. The text is read as the engine reads it."""
    return [
        Example(clip, one.frames, text_ids(TOKENIZER, normalise(clip.line.text, LANGUAGE).text))
        for clip, one in zip(clips, coded, strict=True)
    ]


def reference(example: Example, most: int) -> Frames:
    """The first frames of an utterance, as many as there are: the codec never looks ahead, so they are those of the
    recording cut there."""
    return example.frames[:most]


def together(pairs: Sequence[tuple[Example, Frames]], silence: float) -> SpeechBatch:
    """Utterances, each behind the frames of its reference. `silence`: what a silent frame counts."""
    rows = [_row(example, before) for example, before in pairs]
    length = max(len(tokens) for tokens, *_ in rows)
    tokens = np.zeros((len(rows), length), np.int64)
    codes, places, heard, semantic, weight = [], [], [], [], []
    for number, ((example, _), (ids, read, where)) in enumerate(zip(pairs, rows, strict=True)):
        tokens[number, : len(ids)] = ids
        codes.append(read)
        places.append(number * length + where)
        heard.append(number * length + np.arange(len(ids) - len(example.frames) - 1, len(ids)))
        semantic.append([*(example.frames[:, 0].astype(np.int64) + SPECIALS), END])
        weight.append([*np.where(example.silent, silence, 1.0), 1.0])
    told = np.concatenate(semantic)
    return SpeechBatch(
        torch.from_numpy(tokens),
        torch.from_numpy(np.concatenate(codes)),
        torch.from_numpy(np.concatenate(places)),
        torch.from_numpy(np.concatenate(heard)),
        torch.from_numpy(told),
        torch.from_numpy(np.concatenate(weight).astype(np.float32)),
        torch.from_numpy(np.flatnonzero(told != END)),
        torch.from_numpy(np.concatenate([e.frames[:, 1:] for e, _ in pairs]).astype(np.int64)),
    )


def voice_codes(frames: Frames) -> Integers:
    """[N, books], shifted: a reference's frames as a prompt has them, with the frame that ends them."""
    last = end_frame(frames.shape[1]).numpy()
    return np.concatenate((frames.astype(np.int64) + SPECIALS, last[None]))


def _row(example: Example, before: Frames) -> tuple[Integers, Integers, Integers]:
    """Token ids [L], frames that are read [N, books], shifted, and where [N]."""
    voice = voice_codes(before)
    first = voice_ids(TOKENIZER, len(voice))
    ids = np.array([*first, *example.text, *[0] * len(example.frames)])
    begin = first.index(TOKENIZER.special("[AUDIO]"))
    speech = len(first) + len(example.text) + np.arange(len(example.frames))
    read = np.concatenate((voice, example.frames.astype(np.int64) + SPECIALS))
    return ids, read, np.concatenate((begin + np.arange(len(voice)), speech))


class Draws:
    """Batches of utterances of about one length; which one hardly changes how often an utterance is drawn."""

    def __init__(self, all_of_them: Sequence[Example], seed: int, prefix: tuple[int, int]) -> None:
        self._sorted = sorted(all_of_them, key=lambda example: example.length)
        self._seed, self._prefix = seed, prefix
        lengths = np.array([example.length + VOICE + sum(prefix) / 2 for example in self._sorted])
        self._until = np.cumsum(lengths / lengths.sum())
        self._speakers: dict[str, list[Example]] = {}
        for example in self._sorted:
            self._speakers.setdefault(example.clip.line.speaker, []).append(example)

    def batch(self, step: int, positions: int, silence: float) -> SpeechBatch:
        """Of step `step`: as many utterances as fit into so many positions, one at least."""
        random = np.random.default_rng([self._seed, step])
        count, near = len(self._sorted), max(_NEAREST, len(self._sorted) // 50)
        # Long ones are chosen more often, and fewer of them fit.
        middle = min(int(np.searchsorted(self._until, random.random())), count - 1)
        first = max(0, min(middle - near // 2, count - near))
        most = int(random.integers(self._prefix[0], self._prefix[1] + 1))
        pairs: list[tuple[Example, Frames]] = []
        longest = 0
        for index in first + random.permutation(min(near, count)):
            example = self._sorted[index]
            before = reference(self._another(example, random), most)
            longest = max(longest, example.length + len(before) + VOICE)
            if pairs and longest * (len(pairs) + 1) > positions:
                break
            pairs.append((example, before))
        return together(pairs, silence)

    def _another(self, example: Example, random: np.random.Generator) -> Example:
        """Of the same speaker; the same utterance only where there is no other."""
        of_speaker = self._speakers[example.clip.line.speaker]
        others = [
            one for one in (of_speaker[i] for i in random.integers(len(of_speaker), size=8)) if one is not example
        ]
        return others[0] if others else next((one for one in of_speaker if one is not example), example)
