"""PURE: what one stream was asked for and how far it is. Commands in, phrases to speak and audio messages out."""

from collections import deque
from dataclasses import dataclass

from services.errors import InvalidRequest
from tts_worker.casting import Casting, Open
from tts_worker.engine import Piece, Utterance
from tts_worker.resume import Resume, fingerprint
from tts_worker.spans import frame_spans

LONGEST_TEXT = 2_000
LONGEST_QUEUE = 64
"""Phrases that wait; while there are so many the stream's requests are not read."""


@dataclass(frozen=True)
class Phrase:
    """A text to speak."""

    phrase_id: int
    text: str


@dataclass(frozen=True)
class Flush:
    """No more phrases follow."""


@dataclass(frozen=True)
class Stop:
    """Speak no further phrase."""


Command = Open | Phrase | Flush | Stop


@dataclass(frozen=True)
class Audio:
    """One message: 80 ms of a phrase."""

    phrase_id: int
    frame: int
    """Index within the phrase."""
    piece_frame: int
    """Index within the piece."""
    span: tuple[int, int]
    last_of_phrase: bool
    resume: bytes


@dataclass(frozen=True)
class Order:
    """A phrase on its way through the engine."""

    phrase: Phrase
    utterance: Utterance
    first_frame: int
    """Index within the phrase of the first frame that the engine will make."""
    skip: int
    """Frames from there that were sent in an earlier stream."""
    said: int
    """Code points that those and all before them say."""


class Stream:
    """State of a stream after `Open`."""

    def __init__(self, casting: Casting) -> None:
        self.casting = casting
        self._resume = casting.resume
        self._waiting: deque[Phrase] = deque()
        self._newest = -1
        self._complete = False
        self._stopped = False

    @property
    def full(self) -> bool:
        """No command can be taken until a phrase is spoken."""
        return len(self._waiting) >= LONGEST_QUEUE

    @property
    def finished(self) -> bool:
        """Nothing is left to speak and nothing can come."""
        return (self._stopped or self._complete) and not self._waiting

    def take(self, command: Command) -> None:
        """A command after the first. Raises InvalidRequest."""
        match command:
            case Open():
                raise InvalidRequest("open", "sent twice; it is the first message of a stream and comes once")
            case Flush():
                self._complete = True
            case Stop():
                self._stopped = True
                self._waiting = deque(phrase for phrase in self._waiting if self._is_under_way(phrase))
            case Phrase() if self._stopped:
                pass  # crossed the client's own stop, or was written before it
            case Phrase():
                self._add(command)

    def next(self) -> Order | None:
        """The phrase to speak now, if one waits."""
        while self._waiting:
            phrase = self._waiting.popleft()
            resume, self._resume = self._resume, None
            if resume is None or resume.phrase_id != phrase.phrase_id:
                return self._order(phrase, None)
            if not resume.last:
                return self._order(phrase, resume)
        return None

    def _is_under_way(self, phrase: Phrase) -> bool:
        """Whether an earlier stream has begun to speak it."""
        return self._resume is not None and not self._resume.last and self._resume.phrase_id == phrase.phrase_id

    def _add(self, phrase: Phrase) -> None:
        if self._complete:
            raise InvalidRequest("phrase", "sent after flush")
        if not 1 <= len(phrase.text) <= LONGEST_TEXT:
            raise InvalidRequest("phrase.text", f"{len(phrase.text)} code points; valid: 1 to {LONGEST_TEXT}")
        if phrase.phrase_id <= self._newest:
            raise InvalidRequest("phrase.phrase_id", f"{phrase.phrase_id} after {self._newest}; it must grow")
        if self._newest < 0 and self._resume is not None:
            self._check_resumed(phrase, self._resume)
        self._newest = phrase.phrase_id
        self._waiting.append(phrase)

    @staticmethod
    def _check_resumed(phrase: Phrase, resume: Resume) -> None:
        """The first phrase is the one that the blob names; when that was complete, it may also be a later one."""
        if phrase.phrase_id == resume.phrase_id:
            if fingerprint(phrase.text) != resume.text:
                raise InvalidRequest("phrase.text", "differs from the text of the phrase that open.resume names")
        elif not (resume.last and phrase.phrase_id > resume.phrase_id):
            problem = f"{phrase.phrase_id}; open.resume goes on in phrase {resume.phrase_id}"
            raise InvalidRequest("phrase.phrase_id", problem)

    def _order(self, phrase: Phrase, resume: Resume | None) -> Order:
        clip = self.casting.clip
        utterance = Utterance(
            text=phrase.text,
            voice=self.casting.voice.name,
            seed=self.casting.seed,
            speed=self.casting.speed,
            guidance=self.casting.guidance,
            piece=resume.piece if resume else 0,
            state=resume.state if resume else b"",
            language=self.casting.language,
            reference=clip.sound if clip else None,
            reference_key=clip.key if clip else "",
        )
        first = resume.piece_frame if resume else 0
        return Order(phrase, utterance, first, resume.frame - first if resume else 0, resume.said if resume else 0)


class Recital:
    """How far one phrase is: turns the pieces of an engine into audio messages."""

    def __init__(self, order: Order, casting: Casting) -> None:
        self._order = order
        self._casting = casting
        self._text = fingerprint(order.phrase.text)
        self._frame = order.first_frame
        self._piece = order.utterance.piece
        self._skip = order.skip
        self._said = order.said

    def messages(self, piece: Piece) -> list[Audio]:
        """What is to be sent of the next piece: one message a frame, the frames of an earlier stream left out.

        A span begins where the one before ended: an engine that estimates may think better of it meanwhile, and another
        worker estimates otherwise.
        """
        result = []
        for index, (_, end) in enumerate(frame_spans(piece.marks, piece.frames)):
            last = piece.last and index + 1 == piece.frames
            if index >= self._skip:
                begin, self._said = self._said, max(self._said, end)
                result.append(self._message(piece, index, (begin, self._said), last))
        self._skip = max(0, self._skip - piece.frames)
        self._frame += piece.frames
        self._piece += 1
        return result

    def _message(self, piece: Piece, index: int, span: tuple[int, int], last: bool) -> Audio:
        resume = Resume(
            last=last,
            seed=self._casting.seed,
            phrase_id=self._order.phrase.phrase_id,
            frame=self._frame + index + 1,
            said=span[1],
            piece=self._piece,
            piece_frame=self._frame,
            text=self._text,
            maker=self._casting.maker,
            state=piece.state,
        )
        return Audio(self._order.phrase.phrase_id, self._frame + index, index, span, last, resume.pack())
