"""What the agent is saying: 20 ms frames on demand, and at any moment how much of which text has been sent.

Pure: it is asked for a frame, it never waits. Whoever asks keeps the clock.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from agent.audio import Samples, frame_samples

_AUDIBLE = 100
"""Amplitude (of 32768) from which a sample counts as audible: -50 dBFS."""


OWN_TEXT = 0
"""The source of greetings, fillers and apologies: text that is no answer, and is not timed as one."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Sound and the text it says: `[start, end)` in code points of the text that `source` names."""

    samples: Samples
    source: int
    """Which text: the id of a generation, or OWN_TEXT."""
    start: int
    end: int
    ends_phrase: bool = True
    """A pause may follow; otherwise the next sound must be there in time."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a text was cut: it was sent up to `sent` code points, and of that `heard` can have reached the ear."""

    source: int
    sent: int
    heard: int


@dataclass(slots=True)
class _Piece:
    speech: Speech
    first: int  # position of its first sample in the utterance


@dataclass(slots=True)
class Playout:
    """One utterance at a time. `position` counts the samples of it that were handed out.

    The queue is unbounded in samples but bounded by the text-to-speech stream that fills it, which is limited by the
    length of an answer.
    """

    rate: int
    gate_open: bool = False
    """Closed while the answer is speculative."""
    finished: bool = False
    """No more speech will be pushed."""
    paused: bool = False
    position: int = 0
    starved_frames: int = 0
    """Frames that were due inside a phrase and not there."""
    first_audible: int | None = None
    """Position of the first audible sample of an answer (fillers do not count), once it was handed out."""
    _pieces: list[_Piece] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)  # position of each piece's first sample
    _end: int = 0
    _inside_phrase: bool = False

    def push(self, speech: Speech) -> None:
        """Append sound."""
        self._inside_phrase = not speech.ends_phrase
        if not len(speech.samples):
            return
        self._pieces.append(_Piece(speech, self._end))
        self._starts.append(self._end)
        self._end += len(speech.samples)

    @property
    def waiting(self) -> int:
        """Samples that were pushed and not handed out."""
        return self._end - self.position

    @property
    def done(self) -> bool:
        """Everything was handed out and nothing more comes."""
        return self.finished and self.waiting == 0

    def next_frame(self) -> Samples | None:
        """The next 20 ms, the last one filled up with silence; None when there is nothing to say now."""
        if not self.gate_open or self.paused:
            return None
        size = frame_samples(self.rate)
        whole = self.finished or not self._inside_phrase
        if not self.waiting or (self.waiting < size and not whole):
            self.starved_frames += self._inside_phrase
            return None
        frame = np.zeros(size, dtype=np.int16)
        filled = 0
        for piece in self._pieces[self._index(self.position) :]:
            offset = self.position + filled - piece.first
            part = piece.speech.samples[offset : offset + size - filled]
            frame[filled : filled + len(part)] = part
            if self.first_audible is None and piece.speech.source != OWN_TEXT:
                self._note_audible(part, self.position + filled)
            filled += len(part)
            if filled == size:
                break
        self.position += filled
        return frame

    def pause(self, unsent: int) -> None:
        """Hand out nothing; the last `unsent` samples handed out did not leave after all."""
        self.paused = True
        self._step_back(unsent)

    def resume(self, text_of: Mapping[int, str]) -> None:
        """Go on from the start of the word in which the pause fell."""
        if not self.paused:
            return
        self.paused = False
        if not self._pieces:
            return
        piece = self._pieces[self._index(max(0, self.position - 1))]
        text = text_of.get(piece.speech.source, "")
        word = word_start(text, self._code_points(piece, self.position))
        self._step_back(self.position - self._position_of(piece.speech.source, word))

    def cut(self, text_of: Mapping[int, str], unsent: int, in_flight: float) -> list[Cut]:
        """Stop for good. `unsent` samples were handed out and did not leave; `in_flight` seconds of sound have left
        and cannot have been heard yet. Returns a Cut for each text that was pushed, in order.

        `heard` is rounded down to the end of a word: a word of which only a part was heard does not count.
        """
        self._step_back(unsent)
        ear = max(0, self.position - round(in_flight * self.rate))
        sent: dict[int, int] = {}
        heard: dict[int, int] = {}
        for piece in self._pieces:
            source = piece.speech.source
            sent[source] = max(sent.get(source, 0), self._code_points(piece, self.position))
            heard[source] = max(heard.get(source, 0), self._code_points(piece, ear))
        self.finished = True
        self._end = self.position
        return [Cut(s, sent[s], whole_words(text_of.get(s, ""), heard[s])) for s in sent]

    def _step_back(self, samples: int) -> None:
        self.position = max(0, self.position - samples)
        if self.first_audible is not None and self.position <= self.first_audible:
            self.first_audible = None

    def _index(self, position: int) -> int:
        """Of the piece with the sample at `position`."""
        return max(0, bisect_right(self._starts, position) - 1)

    def _position_of(self, source: int, code_point: int) -> int:
        """Where the sound of a code point begins, interpolated; at most the current position."""
        for piece in self._pieces:
            speech = piece.speech
            if speech.source == source and speech.start <= code_point < speech.end:
                share = (code_point - speech.start) / (speech.end - speech.start)
                return min(self.position, piece.first + int(share * len(speech.samples)))
        return self.position

    @staticmethod
    def _code_points(piece: _Piece, position: int) -> int:
        """How far into its text the piece is at `position`, interpolated within the piece; 0 if it has not begun."""
        length = len(piece.speech.samples)
        if position <= piece.first or not length:
            return 0
        share = min(1.0, (position - piece.first) / length)
        return piece.speech.start + int(share * (piece.speech.end - piece.speech.start))

    def _note_audible(self, samples: Samples, first: int) -> None:
        loud = np.flatnonzero(np.abs(samples.astype(np.int32)) >= _AUDIBLE)
        if len(loud):
            self.first_audible = first + int(loud[0])


def word_start(text: str, code_points: int) -> int:
    """Where the word begins in which `code_points` falls: "Good mor|ning" → 5; at the end of a word, that word."""
    begun = len(text[:code_points].rstrip())
    while begun > 0 and not text[begun - 1].isspace():
        begun -= 1
    return begun


def whole_words(text: str, code_points: int) -> int:
    """The largest count ≤ `code_points` that ends a word of `text`: "Good mor|ning" → 4."""
    if code_points >= len(text):
        return len(text)
    if code_points <= 0:
        return 0
    if text[code_points].isspace():
        return len(text[:code_points].rstrip())
    begun = max((i for i in range(code_points) if text[i].isspace()), default=-1)
    return len(text[: begun + 1].rstrip()) if begun >= 0 else 0
