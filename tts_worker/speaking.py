"""PURE: one phrase on its way through the flow-matching engine: frames asked for and made, and the pieces they give."""

from dataclasses import dataclass, field

import numpy as np

from services.errors import InvalidRequest, ServiceError
from tts_worker.engine import FRAME, Mark, Piece, Sound, Utterance
from tts_worker.model.config import END
from tts_worker.normalise import Normalised
from tts_worker.pieces import Frames, Pace, pack, piece_length, piece_start
from tts_worker.sound import HISTORY, fade_in, fade_out, released


@dataclass(frozen=True)
class Cut:
    """The frames of a piece, to be decoded."""

    frames: Frames
    """[n, books]"""
    state: bytes
    """All frames up to its end, as a blob holds them; END too where the phrase ends with it."""
    first: int
    """Frames before it."""
    last: bool


@dataclass(eq=False)
class Speaking:
    """One phrase under way."""

    utterance: Utterance
    spoken: Normalised
    """The text as the model reads it."""
    slot: int
    most: int
    """Frames after which it is a runaway, and ended."""
    room: int
    """Frames that fit into its slot: who needs more fails, and is not cut."""
    books: int
    piece: int
    """Index of the next piece."""
    entered: bool = False
    """Its prompt was read."""
    asked: int = 0
    """Frames that were asked for and have not come."""
    ended: bool = False
    gone: bool = False
    """Nobody wants it any more, or all of it was given."""
    failed: ServiceError | None = None
    """Why it cannot go on."""
    decoding: bool = False
    """A piece is being decoded."""
    _frames: Frames = field(init=False)
    """[most that there can be, books] Shifted; without END. The first `made` count."""
    made: int = 0
    cut: int = 0
    """Frames that were given to the codec."""
    _remade: bool = False
    """The next piece was made before: its frames are there."""
    _blob: bytearray = field(default_factory=bytearray)
    _tail: Sound = field(default_factory=lambda: np.zeros(HISTORY, np.float32))
    """The end of the sound so far."""

    def __post_init__(self) -> None:
        self._frames = np.zeros((min(self.most, self.room), self.books), np.uint16)

    # -- frames ------------------------------------------------------------------------------------------------------

    def go_on_from(self, frames: Frames) -> Frames:
        """Take over the frames [n, books] that were made elsewhere. Gives those that the codec has to see again."""
        if len(frames) and frames[-1, 0] == END:
            frames, self.ended = frames[:-1], True
        self.made = len(frames)
        self.most = max(self.most, self.made)
        if not self.ended:
            self._look_for_the_limit()
        self._frames = np.concatenate(
            (frames, np.zeros((min(self.most, self.room) - self.made, self.books), np.uint16))
        )
        self.cut = min(piece_start(self.piece), self.made)
        self._blob += pack(frames[: self.cut])
        self._remade = self.made > self.cut
        return self._frames[: self.cut]

    def recall(self, sound: Sound) -> None:
        """The end of the sound that the codec has seen again."""
        self._tail = np.concatenate((self._tail, sound))[-HISTORY:]

    @property
    def frames(self) -> Frames:
        """[made, books]"""
        return self._frames[: self.made]

    @property
    def hungry(self) -> bool:
        """Another frame is needed for the next piece."""
        over = self.ended or self.gone or self.failed
        return self.entered and not (over or self._remade) and self.made + self.asked < self._enough

    @property
    def due(self) -> bool:
        """The next piece can be decoded."""
        free = self.entered and not (self.gone or self.failed or self.decoding)
        return free and (self.ended or self._remade or self.made >= self._enough)

    @property
    def _enough(self) -> int:
        """Frames with which the next piece can leave. One that is not the first waits for a frame more, which may be
        the end: who gets a phrase's last sound is told so with it."""
        return self.cut + piece_length(self.piece) + (self.piece > 0)

    def take(self, frame: Frames) -> bool:
        """The next frame [books] has come. False where it is the last there may be: the phrase has found no end."""
        self.asked -= 1
        if self.ended or self.gone or self.failed:  # it was asked for before that was known
            return True
        if frame[0] == END:
            self.ended = True
            return True
        self._frames[self.made] = frame
        self.made += 1
        return not self._look_for_the_limit()

    def _look_for_the_limit(self) -> bool:
        """Whether there may be no more frames."""
        if self.made >= self.most:
            self.ended = True
        elif self.made >= self.room:
            problem = f"has not ended after {self.made} frames, and there is room for no more; send it in parts"
            self.failed = InvalidRequest("phrase.text", problem)
        return self.ended or self.failed is not None

    # -- pieces ------------------------------------------------------------------------------------------------------

    def next_cut(self) -> Cut:
        """The frames of the next piece, which is due."""
        waiting, wanted = self.made - self.cut, piece_length(self.piece)
        # A last piece may be one longer than others: the frame that was waited for was no end, but the next one is.
        count = waiting if self.ended and waiting <= wanted + 1 else min(waiting, wanted)
        first, end = self.cut, self.cut + count
        frames = self._frames[first:end]
        self._blob += pack(frames)
        last = self.ended and end == self.made
        state = bytes(self._blob) + (pack(self._end_frame()) if last else b"")
        self.cut, self.decoding, self._remade = end, True, False
        return Cut(frames, state, first, last)

    def _end_frame(self) -> Frames:
        end = np.zeros((1, self.books), np.uint16)
        end[0, 0] = END
        return end

    def piece_of(self, cut: Cut, sound: Sound, pace: Pace) -> Piece:
        """A cut and its sound [n · frame] as a piece. The phrase begins and ends in silence whatever the model says."""
        text, frames = self.spoken.text, len(cut.frames)
        if not frames:  # the end came right behind what was sent as not the last
            sound = released(float(self._tail[-1]), FRAME)
        if not cut.first:
            sound = fade_in(sound)
        if cut.last and frames:
            sound = fade_out(sound)
        end = cut.first + max(frames, 1)
        before, self._tail = self._tail, np.concatenate((self._tail, sound))[-HISTORY:]
        self.decoding = False
        self.piece += 1
        marks = tuple(self._traced(mark, cut.last) for mark in pace.marks(text, cut.first, end, cut.last))
        return Piece(sound, marks, cut.last, cut.state, before)

    def _traced(self, mark: Mark, last: bool) -> Mark:
        """A mark in the spoken text as one in the text that was sent. That is said to its end only by the last piece,
        also where words of the normaliser's own follow it."""
        sent = self.spoken.origins[mark.code_point]
        complete = last and mark.code_point == len(self.spoken.text)
        return Mark(mark.sample, sent if complete else min(sent, len(self.utterance.text) - 1))
