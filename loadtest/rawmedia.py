"""RTP by hand: packets of PCMU and of keys (RFC 4733), sent on time; everything that arrives is kept with its time."""

import asyncio
import itertools
import struct
from collections.abc import Callable
from typing import Protocol

import numpy as np

from agent.audio import Samples
from loadtest.g711 import PCMU, decode

KEYS = "0123456789*#ABCD"
EVENT = 101
"""Payload type of telephone-event."""
_SOURCE = 0xC0FFEE
_LEVELS = decode(bytes(range(256)), PCMU)
assert _LEVELS is not None
_ORDER = np.argsort(_LEVELS, kind="stable")
_RISING = _LEVELS[_ORDER].astype(np.int32)


def encode_mulaw(samples: Samples) -> bytes:
    """PCMU by nearest level."""
    above = np.clip(np.searchsorted(_RISING, samples), 1, 255)
    nearer = np.where(samples - _RISING[above - 1] < _RISING[above] - samples, above - 1, above)
    return bytes(_ORDER[nearer].astype(np.uint8).tobytes())


class Called(Protocol):
    """What media needs to know of a call."""

    @property
    def media(self) -> tuple[str, int]:
        """Where packets go."""


class Datagrams(asyncio.DatagramProtocol):
    """Hands each datagram and its source to a function."""

    def __init__(self, take: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """One more."""
        self._take(data, addr)


class RawMedia:
    """One RTP socket. `arrived` collects (time, packet)."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.arrived: list[tuple[float, bytes]] = []
        self.port = 0
        self._sequence = 700
        self._timestamp = 160
        self._talking: asyncio.Task[None] | None = None
        self._socket: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        """Bind to a free port."""
        loop = asyncio.get_running_loop()
        self._socket, _ = await loop.create_datagram_endpoint(
            lambda: Datagrams(lambda data, _: self.arrived.append((loop.time(), data))), local_addr=(self.address, 0)
        )
        self.port = self._socket.get_extra_info("sockname")[1]

    def close(self) -> None:
        """Stop, and free the port."""
        self.stop_talking()
        if self._socket is not None:
            self._socket.close()

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        """One packet, as it is."""
        assert self._socket is not None
        self._socket.sendto(data, to)

    def packet(self, payload: bytes, step: int = 160) -> bytes:
        """The next RTP packet of PCMU; `step` is what it adds to the timestamp."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp += step
        return struct.pack("!BBHII", 0x80, PCMU, self._sequence, self._timestamp, _SOURCE) + payload

    def talk(self, call: Called, samples: Samples | None = None) -> None:
        """Send `samples` and then silence, one packet every 20 ms, until `stop_talking`."""
        self.stop_talking()
        self._talking = asyncio.get_running_loop().create_task(self._talk(call, samples))

    def stop_talking(self) -> None:
        """No more RTP."""
        if self._talking is not None:
            self._talking.cancel()
            self._talking = None

    async def _talk(self, call: Called, samples: Samples | None) -> None:
        loop = asyncio.get_running_loop()
        coded = encode_mulaw(samples) if samples is not None else b""
        start = loop.time()
        for index in itertools.count():
            self.send(self.packet(coded[index * 160 : (index + 1) * 160].ljust(160, b"\xff")), call.media)
            await asyncio.sleep(max(0.0, start + (index + 1) * 0.02 - loop.time()))

    async def press(self, call: Called, key: str) -> None:
        """A key: 100 ms of events, the end sent three times."""
        self._timestamp += 160
        stamp = self._timestamp
        for index in range(5):
            data = struct.pack("!BBH", KEYS.index(key), 10, (index + 1) * 160)
            self.send(self._event(data, stamp, marker=index == 0), call.media)
            await asyncio.sleep(0.02)
        for _ in range(3):
            self.send(self._event(struct.pack("!BBH", KEYS.index(key), 0x80 | 10, 800), stamp), call.media)
        self._timestamp += 800

    def _event(self, data: bytes, stamp: int, marker: bool = False) -> bytes:
        self._sequence = (self._sequence + 1) & 0xFFFF
        return struct.pack("!BBHII", 0x80, EVENT | (marker << 7), self._sequence, stamp, _SOURCE) + data

    def heard(self) -> Samples:
        """PCMU of every packet so far, in order of arrival, decoded."""
        payloads = b"".join(data[12:] for _, data in self.arrived if len(data) > 12 and data[1] & 0x7F == PCMU)
        samples = decode(payloads, PCMU)
        assert samples is not None
        return samples

    def keys_heard(self) -> list[str]:
        """Keys in the events so far: one for each new timestamp."""
        keys: dict[int, str] = {}
        for _, data in self.arrived:
            if len(data) >= 16 and data[1] & 0x7F == EVENT:
                keys.setdefault(struct.unpack_from("!I", data, 4)[0], KEYS[data[12]])
        return list(keys.values())
