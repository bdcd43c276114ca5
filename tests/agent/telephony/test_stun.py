"""The local answer to "what is my public address?"."""

import asyncio
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.telephony.stun import MAGIC, PublicAddress, binding_response

REQUEST = struct.pack("!HHI12s", 1, 0, MAGIC, b"transaction!")


@pytest.mark.parametrize(("public", "size"), [("203.0.113.9", 4), ("2001:db8::9", 16)])
def test_the_answer_says_the_public_address_and_the_same_port(public: str, size: int) -> None:
    answer = binding_response(REQUEST, public, 40002)
    assert answer is not None
    kind, length, magic, transaction = struct.unpack_from("!HHI12s", answer)
    assert (kind, magic, transaction, length) == (0x0101, MAGIC, b"transaction!", len(answer) - 20)
    name, value_size, _, family, port = struct.unpack_from("!HHBBH", answer, 20)
    assert (name, value_size, family) == (0x0020, 4 + size, 1 if size == 4 else 2)
    assert port ^ (MAGIC >> 16) == 40002
    mask = struct.pack("!I12s", MAGIC, b"transaction!")
    import ipaddress

    assert ipaddress.ip_address(bytes(a ^ b for a, b in zip(answer[28:], mask, strict=False))) == ipaddress.ip_address(
        public
    )


@given(st.binary(max_size=64))
def test_other_datagrams_are_not_answered(data: bytes) -> None:
    if data[:2] != b"\0\1":
        assert binding_response(data, "203.0.113.9", 1) is None


async def test_it_answers_over_udp() -> None:
    async with PublicAddress("203.0.113.9", "127.0.0.1") as server:
        loop = asyncio.get_running_loop()
        answers: asyncio.Queue[bytes] = asyncio.Queue()

        class Client(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                answers.put_nowait(data)

        transport, _ = await loop.create_datagram_endpoint(Client, remote_addr=("127.0.0.1", server.port))
        transport.sendto(b"rubbish")
        transport.sendto(REQUEST)
        assert (await asyncio.wait_for(answers.get(), 30))[8:20] == b"transaction!"
        transport.close()


async def test_without_a_public_address_nothing_listens() -> None:
    async with PublicAddress("", "") as server:
        assert server.port == 0
