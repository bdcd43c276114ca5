"""A UDP relay between a caller and the agent: signalling and sound of every call pass through it, stamped, and may be
lost or delayed on the way.

    python -m loadtest.relay --to 127.0.0.1:5060 --capture var/capture.npz --loss 0.05 --jitter-ms 30

Prints its own SIP address as a line of JSON, and writes the capture on SIGTERM or SIGINT.
"""

import argparse
import asyncio
import json
import math
import random
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.capture import Direction, Packet, parse_rtp, save
from loadtest.sip_text import Address, call_id, media_address, redirected

SO_TIMESTAMPNS = 35
"""Linux: the kernel stamps each datagram on arrival; not in Python's socket module."""
_TIMESPEC = struct.Struct("qq")
_MAX_DATAGRAM = 65_535
_PORT_TRIES = 200
_LINGER = 2.0
"""Seconds after BYE in which sound under way still passes."""


@dataclass
class Impairment:
    """PURE: what happens to packets, the same for the same seed."""

    loss: float = 0.0
    """Probability that a packet is lost."""
    jitter: float = 0.0
    """Seconds; each packet is late by an even chance of 0 to this, so packets less than it apart may change places."""
    seed: int = 0
    _dice: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    def delay(self) -> float | None:
        """Seconds to hold the next packet; None to lose it."""
        lost, late = self._dice.random() < self.loss, self._dice.random() * self.jitter
        return None if lost else late


class _Port:
    """A bound UDP socket whose datagrams arrive stamped."""

    def __init__(self, host: str, port: int = 0) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        try:
            self.socket.bind((host, port))
        except OSError:
            self.socket.close()
            raise
        self.address: Address = self.socket.getsockname()

    def listen(self, take: Callable[[bytes, Address, float], None]) -> None:
        """Hand every datagram to `take` with its source and its time of arrival."""
        asyncio.get_running_loop().add_reader(self.socket, self._drain, take)

    def _drain(self, take: Callable[[bytes, Address, float], None]) -> None:
        while True:
            try:
                data, ancillary, _, source = self.socket.recvmsg(_MAX_DATAGRAM, 64)
            except (BlockingIOError, ConnectionRefusedError):
                return
            take(data, source, _arrival(ancillary))

    def send(self, data: bytes, target: Address) -> None:
        """To `target`; a full socket buffer loses the datagram, as networks do."""
        try:
            self.socket.sendto(data, target)
        except (BlockingIOError, ConnectionRefusedError):
            return

    def close(self) -> None:
        """Stop listening."""
        asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()


def _arrival(ancillary: list[tuple[int, int, bytes]]) -> float:
    """The kernel's stamp on the monotonic clock. It stamps with the wall clock; only the age is taken from that."""
    for _, kind, data in ancillary:
        if kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(data[: _TIMESPEC.size])
            age: int = time.time_ns() - seconds * 10**9 - nanoseconds
            return time.monotonic() - age / 1e9
    return time.monotonic()


def _port_pair(host: str) -> tuple[_Port, _Port]:
    """RTP on a free port and RTCP on the next."""
    for _ in range(_PORT_TRIES):
        first = _Port(host)
        try:
            return first, _Port(host, first.address[1] + 1)
        except (OSError, OverflowError):
            first.socket.close()
    raise OSError(f"no two free UDP ports in a row on {host}")


class _Media:
    """The sound of one call: a pair of ports for each side."""

    def __init__(self, host: str, impairments: dict[Direction, Impairment], record: Callable[[Packet], None]) -> None:
        self._ports = {direction: _port_pair(host) for direction in Direction}
        self._targets: dict[Direction, Address] = {}
        self._impairments = impairments
        self._record = record
        for direction in Direction:
            rtp, rtcp = self._ports[direction]
            rtp.listen(lambda data, _, arrived, d=direction: self._rtp(d, data, arrived))  # type: ignore[misc]
            rtcp.listen(lambda data, _, __, d=direction: self._rtcp(d, data))  # type: ignore[misc]

    def port_for(self, direction: Direction) -> Address:
        """Where packets that go this way have to be sent."""
        return self._ports[direction][0].address

    def target(self, direction: Direction, address: Address) -> None:
        """Where packets that go this way are forwarded to."""
        self._targets[direction] = address

    def _rtp(self, direction: Direction, data: bytes, arrived: float) -> None:
        delay = self._impairments[direction].delay()
        if delay is None:
            self._note(direction, data, arrived, math.nan)
        elif delay:
            asyncio.get_running_loop().call_later(delay, self._forward, direction, data, arrived)
        else:
            self._forward(direction, data, arrived)

    def _forward(self, direction: Direction, data: bytes, arrived: float) -> None:
        if direction not in self._targets:
            return
        # Out of the port that the receiver sends to, as symmetric RTP has it.
        self._ports[_opposite(direction)][0].send(data, self._targets[direction])
        self._note(direction, data, arrived, time.monotonic())

    def _note(self, direction: Direction, data: bytes, arrived: float, left: float) -> None:
        if parsed := parse_rtp(data):
            self._record(Packet(direction, arrived, left, *parsed))

    def _rtcp(self, direction: Direction, data: bytes) -> None:
        if target := self._targets.get(direction):
            self._ports[_opposite(direction)][1].send(data, (target[0], target[1] + 1))

    def close(self) -> None:
        for pair in self._ports.values():
            for port in pair:
                port.close()


def _opposite(direction: Direction) -> Direction:
    return Direction.TO_CALLER if direction is Direction.TO_AGENT else Direction.TO_AGENT


class Relay:
    """Calls made to `address` reach `agent` and leave a trace in `packets`. An async context manager."""

    def __init__(self, agent: Address, host: str = "127.0.0.1", impairment: Impairment | None = None) -> None:
        given = impairment or Impairment()
        self.packets: list[Packet] = []
        self._agent = agent
        self._host = host
        self._impairments = {d: Impairment(given.loss, given.jitter, given.seed * 2 + d) for d in Direction}
        self._callers: dict[str, Address] = {}
        self._media: dict[str, _Media] = {}

    async def __aenter__(self) -> "Relay":
        # Named by who is on the other end.
        self._caller_side, self._agent_side = _Port(self._host), _Port(self._host)
        self._caller_side.listen(self._from_caller)
        self._agent_side.listen(self._from_agent)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._caller_side.close()
        self._agent_side.close()
        for call in list(self._media):
            self._forget(call)

    @property
    def address(self) -> Address:
        """Where to call."""
        return self._caller_side.address

    def _from_caller(self, message: bytes, source: Address, _: float) -> None:
        if (call := call_id(message)) is None:
            return
        self._callers[call] = source
        self._agent_side.send(self._through(call, message, Direction.TO_AGENT, self._agent_side.address), self._agent)

    def _from_agent(self, message: bytes, _: Address, __: float) -> None:
        call = call_id(message)
        if call is None or call not in self._callers:
            return
        changed = self._through(call, message, Direction.TO_CALLER, self._caller_side.address)
        self._caller_side.send(changed, self._callers[call])

    def _through(self, call: str, message: bytes, direction: Direction, contact: Address) -> bytes:
        """The message as its receiver shall see it: everything it can answer to is the relay."""
        back = _opposite(direction)
        if message.startswith(b"BYE "):
            asyncio.get_running_loop().call_later(_LINGER, self._forget, call)
        port = None
        if wanted := media_address(message):
            media = self._media.get(call)
            if media is None:
                media = self._media[call] = _Media(self._host, self._impairments, self.packets.append)
            media.target(back, wanted)
            port = media.port_for(back)
        return redirected(message, contact, port)

    def _forget(self, call: str) -> None:
        """A repeated BYE finds nothing more to close; its signalling still passes."""
        if media := self._media.pop(call, None):
            media.close()


async def _serve(agent: Address, capture: Path, impairment: Impairment) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Relay(agent, impairment=impairment) as relay:
        sys.stdout.write(json.dumps({"host": relay.address[0], "port": relay.address[1]}) + "\n")
        sys.stdout.flush()
        await stop.wait()
    save(capture, relay.packets)


def main() -> None:
    """Relay until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.relay", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--to", required=True, metavar="HOST:PORT", help="SIP address of the agent")
    parser.add_argument("--capture", type=Path, required=True, help=".npz file to write at the end")
    parser.add_argument("--loss", type=float, default=0.0, help="share of RTP packets to lose, 0 to 1")
    parser.add_argument("--jitter-ms", type=float, default=0.0, help="largest delay of an RTP packet")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    host, _, port = given.to.rpartition(":")
    asyncio.run(_serve((host, int(port)), given.capture, Impairment(given.loss, given.jitter_ms / 1000, given.seed)))


if __name__ == "__main__":
    main()
