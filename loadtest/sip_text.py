"""PURE: the few places of a SIP message that a relay has to change so that everything comes back to it."""

import re

Address = tuple[str, int]

_CALL_ID = re.compile(rb"(?im)^(?:call-id|i)[ \t]*:[ \t]*(\S+)")
_CONTACT = re.compile(rb"(?im)^((?:contact|m)[ \t]*:[^\r\n]*?sips?:)([^@>;\s]*@)?([^>;\s]+)")
_LENGTH = re.compile(rb"(?im)^((?:content-length|l)[ \t]*:[ \t]*)\d+")
_CONNECTION = re.compile(rb"(?m)^(c=IN IP4 )(\S+)")
_AUDIO = re.compile(rb"(?m)^(m=audio )(\d+)")
_RTCP = re.compile(rb"(?m)^a=rtcp(?:-mux)?(?::[^\r\n]*)?\r?\n")


def call_id(message: bytes) -> str | None:
    """The Call-ID; None where there is none, as in a keep-alive."""
    found = _CALL_ID.search(message)
    return found[1].decode("ascii", "replace") if found else None


def media_address(message: bytes) -> Address | None:
    """Where the sender of this message wants its audio; None without SDP or with audio refused (port 0)."""
    _, _, body = message.partition(b"\r\n\r\n")
    connection, audio = _CONNECTION.search(body), _AUDIO.search(body)
    if not connection or not audio or int(audio[2]) == 0:
        return None
    return connection[2].decode("ascii", "replace"), int(audio[2])


def redirected(message: bytes, contact: Address, media: Address | None) -> bytes:
    """`message` with its Contact pointing at `contact`, and its audio, where `media` is given, at `media`."""
    head, blank, body = message.partition(b"\r\n\r\n")
    head = _CONTACT.sub(lambda m: m[1] + (m[2] or b"") + _joined(contact), head)
    if media and body:
        body = _CONNECTION.sub(lambda m: m[1] + media[0].encode(), body)
        body = _AUDIO.sub(lambda m: m[1] + str(media[1]).encode(), body)
        body = _RTCP.sub(b"", body)  # without it RTCP goes to the next port, which the relay has too
    head = _LENGTH.sub(lambda m: m[1] + str(len(body)).encode(), head)
    return head + blank + body


def _joined(address: Address) -> bytes:
    return f"{address[0]}:{address[1]}".encode()
