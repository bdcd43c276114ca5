"""PURE: where a stream stands, as bytes that another worker understands.

Layout, big endian: "TS", version, the fields of `Resume` in order, the CRC-32 of all that. 48 bytes plus the state.
"""

import struct
from dataclasses import dataclass
from zlib import crc32

_HEADER = struct.Struct(">2sBBQQIIIIII")
_CHECK = struct.Struct(">I")
_MAGIC, _VERSION = b"TS", 2


class ForeignBlob(ValueError):
    """Bytes that are no resume blob of this kind of worker; says why."""


@dataclass(frozen=True)
class Resume:
    """The state of a stream after one of its audio messages."""

    last: bool
    """The message was the last of its phrase."""
    seed: int
    phrase_id: int
    frame: int
    """Frames of the phrase that were sent."""
    said: int
    """Code points of the phrase that those say. Where that is an estimate, another worker's may differ."""
    piece: int
    """Piece that holds the newest of them."""
    piece_frame: int
    """Index within the phrase of that piece's first frame."""
    text: int
    """`fingerprint` of the phrase's text."""
    maker: int
    """`fingerprint` of what else the sound depends on: model, voice or recording, language, speed, guidance."""
    state: bytes = b""
    """The engine's own, to make that piece again."""

    def pack(self) -> bytes:
        """The blob."""
        place = (self.seed, self.phrase_id, self.frame, self.said, self.piece, self.piece_frame)
        body = _HEADER.pack(_MAGIC, _VERSION, self.last, *place, self.text, self.maker) + self.state
        return body + _CHECK.pack(crc32(body))


def unpack(blob: bytes) -> Resume:
    """The state in `blob`. Raises ForeignBlob."""
    if len(blob) < _HEADER.size + _CHECK.size or blob[:2] != _MAGIC:
        raise ForeignBlob("no resume blob of this service")
    if blob[2] != _VERSION:
        raise ForeignBlob(f"version {blob[2]} is not supported; this worker reads version {_VERSION}")
    body, check = blob[: -_CHECK.size], blob[-_CHECK.size :]
    if _CHECK.unpack(check)[0] != crc32(body):
        raise ForeignBlob("damaged: the checksum does not fit")
    _, _, last, seed, phrase_id, frame, said, piece, piece_frame, text, maker = _HEADER.unpack_from(body)
    state = body[_HEADER.size :]
    return Resume(bool(last), seed, phrase_id, frame, said, piece, piece_frame, text, maker, state)


def fingerprint(*parts: object) -> int:
    """32 bits that differ when a part differs."""
    return crc32(repr(parts).encode())
