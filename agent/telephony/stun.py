"""Tells the SIP stack the public address of a NAT that forwards ports unchanged.

The stack asks STUN servers for its address and has no other way to be told. This answers such questions locally, so
that no outside server is needed: the address is the configured one, the port the one that asked.
"""

import asyncio
import ipaddress
import struct
from types import TracebackType
from typing import Self

MAGIC = 0x2112A442
_BINDING_REQUEST = 0x0001
_BINDING_RESPONSE = 0x0101
_XOR_MAPPED_ADDRESS = 0x0020
_HEADER = struct.Struct("!HHI12s")


def binding_response(request: bytes, public: str, port: int) -> bytes | None:
    """RFC 5389 answer to a binding request that says `public`:`port`; None for any other datagram."""
    if len(request) < _HEADER.size:
        return None
    kind, length, magic, transaction = _HEADER.unpack_from(request)
    if kind != _BINDING_REQUEST or magic != MAGIC or length != len(request) - _HEADER.size:
        return None
    address = ipaddress.ip_address(public)
    mask = struct.pack("!I", MAGIC) + transaction
    hidden = bytes(a ^ m for a, m in zip(address.packed, mask, strict=False))
    value = struct.pack("!BBH", 0, 1 if address.version == 4 else 2, port ^ (MAGIC >> 16)) + hidden
    attribute = struct.pack("!HH", _XOR_MAPPED_ADDRESS, len(value)) + value
    return _HEADER.pack(_BINDING_RESPONSE, len(attribute), MAGIC, transaction) + attribute


class PublicAddress(asyncio.DatagramProtocol):
    """`async with PublicAddress(public, local) as server:` answers on `server.port`; does nothing without `public`."""

    def __init__(self, public: str, local: str) -> None:
        self._public = public
        self._local = local or "127.0.0.1"
        self._transport: asyncio.DatagramTransport | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        """Start answering, if there is a public address."""
        if self._public:
            loop = asyncio.get_running_loop()
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self._local, 0))
            self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop answering."""
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question."""
        answer = binding_response(data, self._public, addr[1])
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)
