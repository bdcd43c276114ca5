"""PURE: where a stream stands, as bytes that another worker understands.

Layout, big endian: "TS", version, zero, then the fields of `Resume` in order, the CRC-32 of the text, the engine's own
state, and the CRC-32 of all before. 44 bytes without the engine's state.
"""

import struct
from dataclasses import dataclass
from zlib import crc32

_HEADER = struct.Struct(">2sBxQQIIII")
_CHECK = struct.Struct(">I")
_MAGIC, _VERSION = b"TS", 1


class ForeignBlob(ValueError):
    """Bytes that are no resume blob of this kind of worker; says why."""


@dataclass(frozen=True)
class Resume:
    """The state of a stream after one of its audio messages."""

    seed: int
    phrase_id: int
    frame: int
    """Frames of the phrase that were sent."""
    piece: int
    """Piece that holds the next frame, or held the last."""
    text: int
    """`fingerprint` of the phrase's text."""
    maker: int
    """`fingerprint` of what else the sound depends on: model, voice, speed, guidance."""
    piece_frame: int
    """Index within the phrase of the piece's first frame."""
    last: bool
    """The phrase was complete."""
    state: bytes = b""
    """The engine's own."""

    def pack(self) -> bytes:
        """The blob."""
        # The highest bit of the piece's first frame says that the phrase is complete.
        where = self.piece_frame | (self.last << 31)
        header = _HEADER.pack(
            _MAGIC, _VERSION, self.seed, self.phrase_id, self.frame, self.piece, self.text, self.maker
        )
        body = header + _CHECK.pack(where) + self.state
        return body + _CHECK.pack(crc32(body))


def unpack(blob: bytes) -> Resume:
    """The state in `blob`. Raises ForeignBlob."""
    if len(blob) < _HEADER.size + 2 * _CHECK.size or blob[:2] != _MAGIC:
        raise ForeignBlob("no resume blob of this service")
    if blob[2] != _VERSION:
        raise ForeignBlob(f"version {blob[2]} is not supported; this worker reads version {_VERSION}")
    body, check = blob[: -_CHECK.size], blob[-_CHECK.size :]
    if _CHECK.unpack(check)[0] != crc32(body):
        raise ForeignBlob("damaged: the checksum does not fit")
    _, _, seed, phrase_id, frame, piece, text, maker = _HEADER.unpack_from(body)
    (where,) = _CHECK.unpack_from(body, _HEADER.size)
    state = body[_HEADER.size + _CHECK.size :]
    return Resume(
        seed=seed,
        phrase_id=phrase_id,
        frame=frame,
        piece=piece,
        text=text,
        maker=maker,
        piece_frame=where & 0x7FFFFFFF,
        last=bool(where >> 31),
        state=state,
    )


def fingerprint(*parts: object) -> int:
    """32 bits that differ when a part differs."""
    return crc32(repr(parts).encode())
