"""What a relay saw: every RTP packet of both directions with the times it came and went. Saved as one .npz file."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np

HEADER_BYTES = 12


class Direction(IntEnum):
    """Which way a packet went."""

    TO_AGENT = 0
    TO_CALLER = 1


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet. Times are time.monotonic() of this machine."""

    direction: Direction
    arrived: float
    """At the relay, as stamped by the kernel."""
    left: float
    """When the relay sent it on; NaN where it was lost on purpose."""
    sequence: int
    timestamp: int
    payload_type: int
    source: int
    """SSRC."""
    payload: bytes


def parse_rtp(data: bytes) -> tuple[int, int, int, int, bytes] | None:
    """Sequence, timestamp, payload type, SSRC, payload; None where it is no RTP (RFC 3550, section 5.1)."""
    if len(data) < HEADER_BYTES or data[0] >> 6 != 2:
        return None
    start = HEADER_BYTES + 4 * (data[0] & 0x0F)
    if data[0] & 0x10 and len(data) >= start + 4:
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    return (
        int.from_bytes(data[2:4], "big"),
        int.from_bytes(data[4:8], "big"),
        data[1] & 0x7F,
        int.from_bytes(data[8:12], "big"),
        data[start:],
    )


def save(path: Path, packets: Sequence[Packet]) -> None:
    """Write a capture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = [len(packet.payload) for packet in packets]
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            direction=np.array([packet.direction for packet in packets], dtype=np.uint8),
            times=np.array([(packet.arrived, packet.left) for packet in packets], dtype=np.float64).reshape(-1, 2),
            header=np.array(
                [(packet.sequence, packet.timestamp, packet.payload_type, packet.source) for packet in packets],
                dtype=np.uint32,
            ).reshape(-1, 4),
            ends=np.cumsum(sizes, dtype=np.int64),
            payload=np.frombuffer(b"".join(packet.payload for packet in packets), dtype=np.uint8),
        )


def load(path: Path) -> list[Packet]:
    """Read a capture back."""
    with np.load(path) as table:
        payload, ends = table["payload"].tobytes(), table["ends"].tolist()
        rows = zip(table["direction"].tolist(), table["times"].tolist(), table["header"].tolist(), ends, strict=True)
        packets, start = [], 0
        for direction, (arrived, left), (sequence, timestamp, kind, source), end in rows:
            packets.append(
                Packet(Direction(direction), arrived, left, sequence, timestamp, kind, source, payload[start:end])
            )
            start = end
    return packets
