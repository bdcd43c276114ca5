"""PURE: how a phrase's frames are cut into pieces, how far in the text they are, and what a blob holds of them."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tts_worker.engine import FRAME, Mark
from tts_worker.model.config import END, SPECIALS, AudioModel

BOUNDARIES = (1, 2, 4, 8, 14)
"""Frames at which a piece ends: the first sound leaves at once, later ones in longer pieces, which cost less. After the
last one pieces are as long as that between the last two. A piece waits for the frame behind it, too, which may be the
end: with these, sound never runs out as long as a step takes half a frame's 80 ms."""
_LEAST, _PER_CHARACTER = 30, 3.0
_LEARN = 0.1

Frames = npt.NDArray[np.uint16]


def piece_length(index: int) -> int:
    """Frames of the piece with that index."""
    if index < len(BOUNDARIES):
        return BOUNDARIES[index] - (BOUNDARIES[index - 1] if index else 0)
    return BOUNDARIES[-1] - BOUNDARIES[-2]


def piece_start(index: int) -> int:
    """Frames before that piece."""
    if index < len(BOUNDARIES):
        return BOUNDARIES[index - 1] if index else 0
    return BOUNDARIES[-1] + (index - len(BOUNDARIES)) * piece_length(index)


def longest(text: str) -> int:
    """Frames after which a phrase is surely a runaway: three times slower than anybody speaks, and some for the short
    ones, which vary most."""
    return _LEAST + round(_PER_CHARACTER * len(text))


def pack(frames: Frames) -> bytes:
    """[n, books] shifted codes as bytes: two for the semantic one, one for each acoustic one."""
    semantic = frames[:, :1].astype(">u2").view(np.uint8)
    return np.concatenate((semantic, frames[:, 1:].astype(np.uint8)), axis=1).tobytes()


def unpack(state: bytes, books: int) -> Frames:
    """What `pack` packed. Raises ValueError for anything else."""
    size = 2 + books - 1
    if len(state) % size:
        raise ValueError(f"{len(state)} bytes are no whole number of frames of {size}")
    raw = np.frombuffer(state, np.uint8).reshape(-1, size)
    semantic = raw[:, :2].copy().view(">u2").astype(np.uint16)
    return np.concatenate((semantic, raw[:, 2:].astype(np.uint16)), axis=1)


def checked(frames: Frames, piece: int, audio: AudioModel) -> Frames:
    """What a blob holds [n, books] and the index of the piece to go on with, if a model of this size can have said so.
    Raises ValueError: a checksum is no signature, and a code that does not exist would stop every stream."""
    ended = len(frames) > 0 and frames[-1, 0] == END
    spoken = frames[:-1] if ended else frames
    semantic, acoustic = spoken[:, 0], spoken[:, 1:]
    if not (_in_book(semantic, audio.semantic_codebook_size) and _in_book(acoustic, audio.acoustic_codebook_size)):
        raise ValueError("holds codes that this model does not have")
    if piece_start(piece) > len(spoken):
        raise ValueError(f"piece {piece} begins at frame {piece_start(piece)}; it holds {len(spoken)} frames")
    return frames


def _in_book(codes: Frames, size: int) -> bool:
    return bool(((codes >= SPECIALS) & (codes < SPECIALS + size)).all())


@dataclass
class Pace:
    """How many characters a frame says, learned from the phrases that a voice has finished.

    The model does not tell where in the text it is. The estimate is put right at the end of each phrase.
    """

    characters: float = 1.1
    _finished: int = field(default=0, repr=False)

    def learn(self, text: str, frames: int) -> None:
        """A phrase is over. Very short ones tell little."""
        if frames >= 10:
            weight = max(_LEARN, 1 / (self._finished + 2))
            self.characters += weight * (len(text) / frames - self.characters)
            self._finished += 1

    def needed(self, text: str) -> int:
        """Frames that a text takes if it is spoken a quarter slower than the phrases so far."""
        return 2 + round(1.25 * len(text) / self.characters)

    def position(self, text: str, frames: int) -> int:
        """Code points that are said after so many frames; the last one is said only at the end."""
        return min(len(text) - 1, int(frames * self.characters))

    def marks(self, text: str, first: int, end: int, last: bool) -> tuple[Mark, ...]:
        """Of a piece that holds the frames `first` to `end`."""
        begun = self.position(text, first)
        said = len(text) if last else max(begun, self.position(text, end))
        return (Mark(0, begun), Mark((end - first) * FRAME, said))
