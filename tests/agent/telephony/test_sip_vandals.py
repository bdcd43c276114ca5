"""Broken messages and packets against an agent in a process of its own: its calls go on, and it ends cleanly."""

import asyncio
import random

from agent.telephony.stuck import LIMIT
from loadtest.rawphone import RawPhone
from scripts.ports import free_ports
from tests.agent.telephony.agent_process import AgentProcess, agent_process
from tests.agent.telephony.calls import hears_tone, tone
from tests.waiting import LONG

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"


async def echoes(phone: RawPhone, port: int) -> None:
    """A new call works: what is said comes back."""
    phone.server = ("127.0.0.1", port)
    dialog = await phone.call()
    phone.media.arrived.clear()
    phone.media.talk(dialog, tone(60))
    await hears_tone(phone.media.heard)
    phone.media.stop_talking()
    assert (await phone.bye(dialog)).status == 200


async def test_malformed_sdp_gets_an_answer_and_harms_nobody() -> None:
    bodies = [
        SDP + "m=audio 40000/2 RTP/AVP x y\r\n",
        SDP + "m=audio 99999999 RTP/AVP 0\r\na=rtpmap:x PCMU/8000\r\n",
        SDP + "m=audio 4000 RTP/AVP 77\r\na=rtpmap:77 unheard-of/8000\r\n",
        SDP.replace("127.0.0.1", "999.1.1.1") + "m=audio 4000 RTP/AVP 0\r\n",
        "rubbish",
        "m=" * 2000,
    ]
    async with agent_process() as agent, RawPhone(agent.port) as phone:
        for body in bodies:
            dialog = phone.dialog()
            phone.send(phone.request(dialog, "INVITE", body))
            answer = await phone.response()
            if answer.status == 200:  # the stack found something it can live with; then the call must end like any
                phone.confirm(dialog, answer)
                assert (await phone.bye(dialog)).status == 200
            else:
                assert 400 <= answer.status < 600
        await echoes(phone, agent.port)
        assert await agent.stop() == 0


async def test_a_bad_via_harms_nobody() -> None:
    async with agent_process() as agent, RawPhone(agent.port) as phone:
        for via in ("127.0.0.1:99999999", "127.0.0.1:0", "[::1", "", "\x00\x01:5060"):
            for method in ("OPTIONS", "INVITE", "BYE"):
                text = phone.request(phone.dialog(), method, phone.sdp() if method == "INVITE" else "")
                phone.send(text.replace(f"UDP 127.0.0.1:{phone.port}", f"UDP {via}"))
        phone.send(phone.request(phone.dialog(), "OPTIONS").replace(";rport", ";rport=77777777"))
        await asyncio.sleep(0.2)
        while not phone.inbox.empty():
            phone.inbox.get_nowait()
        await echoes(phone, agent.port)


async def get_stuck(phone: RawPhone, invites: int) -> None:
    """Send INVITEs without Contact, which the stack never lets go of."""
    for _ in range(invites):
        head, _, rest = phone.request(phone.dialog(), "INVITE", phone.sdp()).partition("Contact: ")
        phone.send(head + rest.partition("\r\n")[2])
        assert (await phone.response()).status == 500


async def is_refused(phone: RawPhone) -> bool:
    """Whether a new call hears busy; one that is taken ends at once."""
    dialog = phone.dialog()
    phone.send(phone.request(dialog, "INVITE", phone.sdp()))
    answer = await phone.receive(lambda m: m.status >= 200 and m.header("Call-ID") == dialog.call_id)
    if answer.status == 200:
        phone.confirm(dialog, answer)
        assert (await phone.bye(dialog)).status == 200
    return answer.status == 486


async def test_invites_that_get_stuck_in_the_stack_take_no_call_away() -> None:
    async with agent_process(sip_max_calls=3) as agent, RawPhone(agent.port) as phone:
        await get_stuck(phone, 10)
        await echoes(phone, agent.port)
        assert await agent.stop() == 0


async def test_a_stack_full_of_stuck_invites_ends_its_calls_in_peace_and_then_the_process() -> None:
    first = free_ports(502)
    async with (
        agent_process(rtp_ports=f"{first}-{first + 501}") as agent,
        RawPhone(agent.port) as phone,
        RawPhone(agent.port) as vandal,
    ):
        dialog = await phone.call()
        phone.media.talk(dialog)
        await get_stuck(vandal, LIMIT)
        async with asyncio.timeout(LONG):
            while not await is_refused(vandal):  # noqa: ASYNC110 - the agent finds out after `stuck.PATIENCE`
                await asyncio.sleep(0.2)
        assert (await phone.bye(dialog)).status == 200
        await asyncio.wait_for(agent.process.wait(), LONG)
        assert agent.process.returncode == 1


def mutate(text: bytes, chance: random.Random) -> bytes:
    """A message with one to five random injuries."""
    data = bytearray(text)
    for _ in range(chance.randint(1, 5)):
        place = chance.randrange(len(data))
        match chance.randrange(6):
            case 0:
                data[place] = chance.randrange(256)
            case 1:
                del data[place : place + chance.randrange(1, 60)]
            case 2:
                data[place:place] = chance.randbytes(chance.randrange(1, 40))
            case 3:
                data[place:place] = data[place : place + chance.randrange(1, 200)]
            case 4:
                data[place:place] = str(chance.choice([-1, 0, 99999, 2**31, 2**63, 10**30])).encode()
            case 5:
                data[place:place] = chance.choice(
                    [b"\r\n", b"\r\n\r\n", b"\0", b";", b'"', b"<", b"%s%n", b"\xff" * 300]
                )
        if not data:
            data = bytearray(b"x")
    return bytes(data[:8000])


async def vandalise(agent: AgentProcess, vandal: RawPhone, phone: RawPhone, media: tuple[str, int]) -> None:
    """A thousand broken messages, and as many packets at the live call's port."""
    chance = random.Random(20261122)
    own = vandal.dialog()
    methods = ["INVITE", "OPTIONS", "ACK", "CANCEL", "INFO", "REFER", "NOTIFY", "PRACK", "UPDATE", "BYE"]
    for index in range(1000):
        method = chance.choice(methods)
        text = vandal.request(own if index % 2 else vandal.dialog(), method, vandal.sdp() if method == "INVITE" else "")
        vandal.send_raw(mutate(text.encode(), chance))
        vandal.media.send(mutate(phone.media.packet(bytes(chance.randbytes(160)), step=0), chance), media)
        if index % 20 == 19:
            await asyncio.sleep(0.02)


async def test_a_call_goes_on_through_a_thousand_mutated_messages_and_packets() -> None:
    async with (
        agent_process(sip_max_calls=200) as agent,
        RawPhone(agent.port) as phone,
        RawPhone(agent.port) as vandal,
    ):
        dialog = await phone.call()
        phone.media.talk(dialog, tone(60))
        await vandalise(agent, vandal, phone, dialog.media)
        await asyncio.sleep(0.5)  # what the stack has not read yet may still harm the call
        phone.media.arrived.clear()
        await hears_tone(phone.media.heard)
        assert (await phone.bye(dialog)).status == 200
        phone.media.stop_talking()
        await echoes(phone, agent.port)
        assert await agent.stop() == 0
