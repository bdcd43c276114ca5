"""Calls that we dial to a raw SIP phone."""

import asyncio
import hashlib
import re
from collections.abc import Callable

import pytest
from baresip import Call

from agent.telephony.leg import Connected, Ended, EndReason
from agent.telephony.policy import TargetRefused
from agent.telephony.sip import SipError
from loadtest.rawphone import RawPhone
from scripts.ports import free_port
from tests.agent.telephony.calls import hears_tone, next_of, outgoing, saying_tone


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("486 Busy Here", EndReason.BUSY),
        ("603 Decline", EndReason.DECLINED),
        ("404 Not Found", EndReason.UNREACHABLE),
        ("403 Forbidden", EndReason.UNAUTHORIZED),
        ("500 Server Error", EndReason.FAILED),
    ],
)
async def test_a_dialled_call_is_refused(start_sip: Callable, status: str, reason: EndReason) -> None:
    sip, _ = await start_sip()
    async with RawPhone() as phone:
        _, events, invite = await outgoing(sip, phone)
        phone.respond(invite, status, tag="x")
        assert await next_of(events, Ended) == Ended(reason, status)


async def test_a_dialled_call_is_answered_with_sound(start_sip: Callable) -> None:
    sip, _ = await start_sip()
    async with RawPhone() as phone:
        leg, events, invite = await outgoing(sip, phone)
        phone.respond(invite, "180 Ringing", tag="x")
        phone.respond(invite, "200 OK", phone.sdp(), tag="x")
        assert (await next_of(events, Connected)).rate == 8000
        assert leg.info.direction == "outbound"
        assert leg.info.called == phone.user
        async with saying_tone(leg):
            await hears_tone(phone.media.heard)


async def test_an_answer_that_comes_before_the_library_has_returned_is_not_missed(
    start_sip: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    sip, _ = await start_sip()
    agent = sip._listeners["udp"]
    dial = agent.dial

    async def slow(address: str) -> Call:
        call = await dial(address)
        # The library subscribes the call when it makes it, which may be too late; here it surely is.
        sip._runtime.unsubscribe(call._on_stack_event)
        await asyncio.sleep(0.3)
        sip._runtime.subscribe(call._on_stack_event)
        return call

    monkeypatch.setattr(agent, "dial", slow)
    async with RawPhone() as phone:
        dialling = asyncio.create_task(sip.dial(f"sip:{phone.user}@127.0.0.1:{phone.port}"))
        invite = await phone.receive(lambda m: m.method == "INVITE")
        phone.respond(invite, "200 OK", phone.sdp(), tag="x")
        leg = await dialling
        await next_of(leg.events(), Connected)
        await leg.hold()
        assert phone.directions == ["sendonly"]


async def test_hanging_up_while_it_rings_cancels(start_sip: Callable) -> None:
    sip, _ = await start_sip()
    async with RawPhone() as phone:
        leg, events, invite = await outgoing(sip, phone)
        phone.respond(invite, "180 Ringing", tag="x")
        await asyncio.sleep(0.1)
        await leg.hang_up()
        await phone.receive(lambda m: m.start.startswith("CANCEL"))
        assert (await next_of(events, Ended)).reason is EndReason.CANCELLED


async def test_nobody_answers(start_sip: Callable) -> None:
    sip, _ = await start_sip(ring_seconds=1)
    async with RawPhone() as phone:
        _, events, invite = await outgoing(sip, phone)
        phone.respond(invite, "180 Ringing", tag="x")
        assert (await next_of(events, Ended)).reason is EndReason.NO_ANSWER


async def test_a_challenge_is_answered_with_the_password(start_sip: Callable) -> None:
    sip, _ = await start_sip(
        sip_user="agent", sip_password="s3cret", sip_domain="127.0.0.1", sip_auth_user="agent-auth"
    )
    async with RawPhone() as phone:
        _, events, invite = await outgoing(sip, phone)
        challenge = 'Proxy-Authenticate: Digest realm="pbx", nonce="abc", algorithm=MD5\r\n'
        phone.respond(invite, "407 Proxy Authentication Required", extra=challenge, tag="x")
        again = await phone.receive(lambda m: m.start.startswith("INVITE"))
        given = dict(re.findall(r'(\w+)="?([^",]+)"?', again.header("Proxy-Authorization")))

        def md5(text: str) -> str:
            return hashlib.md5(text.encode()).hexdigest()

        expected = md5(f"{md5('agent-auth:pbx:s3cret')}:abc:{md5('INVITE:' + given['uri'])}")
        assert (given["username"], given["response"]) == ("agent-auth", expected)
        phone.respond(again, "200 OK", phone.sdp(), tag="y")
        await next_of(events, Connected)


async def test_a_password_that_is_refused_twice(start_sip: Callable) -> None:
    sip, _ = await start_sip(sip_user="agent", sip_password="wrong", sip_domain="127.0.0.1")
    async with RawPhone() as phone:
        _, events, invite = await outgoing(sip, phone)
        challenge = 'Proxy-Authenticate: Digest realm="pbx", nonce="abc", algorithm=MD5\r\n'
        phone.respond(invite, "407 Proxy Authentication Required", extra=challenge, tag="x")
        again = await phone.receive(lambda m: m.start.startswith("INVITE"))
        phone.respond(again, "407 Proxy Authentication Required", extra=challenge, tag="y")
        assert (await next_of(events, Ended)).reason is EndReason.UNAUTHORIZED


async def test_what_may_not_be_dialled_is_not(start_sip: Callable) -> None:
    sip, _ = await start_sip(dial_allow=("+4930*",), sip_user="agent", sip_domain="127.0.0.1")
    with pytest.raises(TargetRefused):
        await sip.dial("+1900123456")
    assert sip.active == 0


async def test_nobody_listens_where_we_dial(start_sip: Callable) -> None:
    sip, _ = await start_sip()
    leg = await sip.dial(f"sip:someone@127.0.0.1:{free_port()};transport=tcp")  # over UDP it takes SIP 32 s to tell
    end = await next_of(leg.events(), Ended)
    assert end.reason in {EndReason.UNREACHABLE, EndReason.FAILED}
    assert sip.active == 0


async def test_a_transport_that_is_not_ours_cannot_be_dialled(start_sip: Callable) -> None:
    sip, _ = await start_sip(sip_transports=("udp",))
    with pytest.raises(SipError, match="tls"):
        await sip.dial("sip:someone@127.0.0.1:5061;transport=tls")
