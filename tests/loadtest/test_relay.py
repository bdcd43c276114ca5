"""The relay: what it does to packets, and a real call through it."""

import asyncio
import json
import math
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from loadtest import caller, capture
from loadtest.capture import Direction, Packet
from loadtest.relay import Impairment, Relay
from loadtest.wire import WireError, turns
from tests.waiting import LONG

SCENARIO = """
title = "Asks, and talks over the answer"
patience = 0.5
[[step]]
say = "What are your opening hours?"
[[step]]
interrupt = "No, wait, something else."
after = 0.8
[[step]]
hang_up = true
"""


def test_impairment_repeats_and_is_as_told() -> None:
    one, again = (Impairment(loss=0.05, jitter=0.03, seed=4) for _ in range(2))
    delays = [one.delay() for _ in range(5000)]
    assert delays == [again.delay() for _ in range(5000)]
    kept = [delay for delay in delays if delay is not None]
    assert 0.04 < 1 - len(kept) / 5000 < 0.06
    assert 0 <= min(kept) < 0.001
    assert 0.029 < max(kept) <= 0.03
    assert {Impairment().delay() for _ in range(100)} == {0.0}


def test_a_capture_reads_back_as_written(tmp_path: Path) -> None:
    packets = [
        Packet(Direction.TO_AGENT, 1.5, 1.6, 65535, 2**32 - 1, 0, 2**32 - 2, b"abc"),
        Packet(Direction.TO_CALLER, 2.5, math.nan, 0, 0, 101, 1, b""),
    ]
    capture.save(tmp_path / "deep" / "one.npz", packets)
    read = capture.load(tmp_path / "deep" / "one.npz")
    assert read[0] == packets[0]
    assert math.isnan(read[1].left)
    assert read[1].payload == b""
    capture.save(tmp_path / "none.npz", [])
    assert capture.load(tmp_path / "none.npz") == []


@pytest.mark.parametrize("data", [b"", b"\x80" * 11, b"\x00" * 40])
def test_what_is_no_rtp_is_not_captured(data: bytes) -> None:
    assert capture.parse_rtp(data) is None


def test_rtp_with_extension_and_contributors() -> None:
    header = bytes([0x91, 0x80, 0, 5, 0, 0, 0, 160, 0, 0, 0, 9])
    packet = header + b"\1\1\1\1" + b"\0\0\0\1" + b"\2\2\2\2" + b"sound"
    assert capture.parse_rtp(packet) == (5, 160, 0, 9, b"sound")


class _Side(asyncio.DatagramProtocol):
    """A socket that keeps what comes."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.got.put_nowait((data, addr))


async def _side() -> tuple[asyncio.DatagramTransport, _Side, tuple[str, int]]:
    transport, side = await asyncio.get_running_loop().create_datagram_endpoint(_Side, ("127.0.0.1", 0))
    return transport, side, transport.get_extra_info("sockname")


async def test_signalling_and_sound_go_both_ways_and_are_stamped() -> None:
    phone, phone_got, phone_at = await _side()
    agent, agent_got, agent_at = await _side()
    async with Relay(agent_at) as relay, asyncio.timeout(LONG):
        phone.sendto(_message(b"INVITE sip:a@b SIP/2.0", phone_at), relay.address)
        invite, relay_to_agent = await agent_got.got.get()
        assert str(phone_at[1]).encode() not in invite
        agent.sendto(_message(b"SIP/2.0 200 OK", agent_at), relay_to_agent)
        answer, _ = await phone_got.got.get()
        assert str(agent_at[1]).encode() not in answer
        rtp = bytes([0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 9]) + b"\x55" * 160
        phone.sendto(rtp, ("127.0.0.1", _audio_port(answer)))
        assert (await agent_got.got.get())[0] == rtp
        agent.sendto(rtp, ("127.0.0.1", _audio_port(invite)))
        assert (await phone_got.got.get())[0] == rtp
        now = asyncio.get_running_loop().time()
    phone.close()
    agent.close()
    assert [packet.direction for packet in relay.packets] == [Direction.TO_AGENT, Direction.TO_CALLER]
    assert all(now - LONG < packet.arrived <= packet.left <= now for packet in relay.packets)


def _message(first_line: bytes, address: tuple[str, int]) -> bytes:
    body = b"v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio %d RTP/AVP 0\r\n" % address[1]
    contact = b"Contact: <sip:x@127.0.0.1:%d>" % address[1]
    return b"\r\n".join([first_line, b"Call-ID: 1", contact, b"Content-Length: %d" % len(body), b"", body])


def _audio_port(message: bytes) -> int:
    return int(message.split(b"m=audio ")[1].split()[0])


async def _measured_call(answerer: tuple[str, int], folder: Path) -> tuple[float, float]:
    """A call of the scenario through a relay: latency of its question, stop time of its interruption. Raises WireError
    where the capture does not show them."""
    scenario, capture_file = folder / "scenario.toml", folder / "capture.npz"
    scenario.write_text(SCENARIO)
    relay = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest.relay", "--to", f"{answerer[0]}:{answerer[1]}", "--capture", str(capture_file),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert relay.stdout is not None
        address = json.loads(await relay.stdout.readline())
        target = f"sip:agent@{address['host']}:{address['port']}"
        command = ["-m", "loadtest.caller", str(scenario), "--to", target, "--out", str(folder)]
        process = await asyncio.create_subprocess_exec(sys.executable, *command)
        assert await process.wait() == 0
    finally:
        relay.send_signal(signal.SIGTERM)
        assert await relay.wait() == 0
    told, said, heard = caller.read(folder)
    assert told.ended_by == "caller"
    assert len(said) == len(heard)
    assert np.any(heard)
    asked, interrupted = turns(capture.load(capture_file), told.events, said, told.began)
    if asked.latency is None or interrupted.stop_time is None:
        raise WireError("no answer, or no end of it")
    return asked.latency, interrupted.stop_time


@pytest.mark.models
@pytest.mark.realtime
async def test_a_real_call_is_measured_at_the_relay(answerer: tuple[str, int], tmp_path: Path) -> None:
    """The stand-in answers 0.3 s after the end of what it hears; what buffers add is bounded."""
    latency, stop_time = await _measured_call(answerer, tmp_path)
    assert 0.28 < latency < 0.7
    assert 0 < stop_time < 0.5
