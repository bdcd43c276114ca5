"""Calls between the SIP leg and a raw SIP phone: what is on the wire, and what the leg says about it."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import numpy as np
import pytest

from agent.telephony.leg import Connected, Digit, Ended, EndReason, LegEvent, RemoteHold, TransferFailed
from agent.telephony.policy import TargetRefused
from agent.telephony.sip import SipRuntime
from agent.telephony.sipleg import SipLeg
from loadtest.rawphone import Dialog, Message, RawPhone

Event = TypeVar("Event", bound=LegEvent)


async def next_of(events: AsyncIterator[LegEvent], kind: type[Event], timeout: float = 5.0) -> Event:
    async with asyncio.timeout(timeout):
        async for event in events:
            if isinstance(event, kind):
                return event
    raise AssertionError(f"the call ended without {kind.__name__}")


async def incoming(sip: SipRuntime, phone: RawPhone, **call: str) -> tuple[SipLeg, AsyncIterator[LegEvent], Dialog]:
    """An answered inbound call."""
    calling = asyncio.create_task(phone.call(**call))
    leg = await anext(sip.incoming())
    await leg.answer()
    events = leg.events()
    await next_of(events, Connected)
    return leg, events, await calling


async def outgoing(sip: SipRuntime, phone: RawPhone) -> tuple[SipLeg, AsyncIterator[LegEvent], Message]:
    """A dialled call whose INVITE has arrived at the phone."""
    leg = await sip.dial(f"sip:{phone.user}@127.0.0.1:{phone.port}")
    return leg, leg.events(), await phone.receive(lambda m: m.method == "INVITE")


def tone(seconds: float, rate: int = 8000) -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    return (8000 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype(np.int16)


def pitch(samples: "np.ndarray[tuple[int], np.dtype[np.int16]]", rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(np.argmax(spectrum) * rate / samples.size)


async def test_a_call_says_who_calls_whom_and_carries_sound_both_ways(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        calling = asyncio.create_task(phone.call(called="+493055555", extra="X-Agent: desk\r\n"))
        leg = await anext(sip.incoming())
        assert (leg.info.caller, leg.info.called, leg.info.direction) == ("+15551234", "+493055555", "inbound")
        assert leg.info.headers["X-Agent"] == "desk"
        await leg.answer()
        dialog = await calling
        assert await next_of(leg.events(), Connected) == Connected("G.711", 8000)
        phone.media.talk(dialog, tone(1.0))
        for start in range(0, 8000, 160):
            leg.write(tone(1.0)[start : start + 160])
        received = []
        for _ in range(50):
            await asyncio.sleep(0.02)
            received.append(leg.read())
        sound = np.concatenate(received)
        assert pitch(sound[1600:6400], 8000) == pytest.approx(440, abs=3)
        assert pitch(phone.media.heard()[1600:6400], 8000) == pytest.approx(440, abs=3)
        await phone.bye(dialog)
        assert await next_of(leg.events(), Ended) == Ended(EndReason.CALLER_HUNG_UP, "Connection reset by peer [104]")


async def test_no_reinvite_follows_an_answer(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        await incoming(sip, phone)
        await asyncio.sleep(0.6)
        assert phone.directions == []


async def test_the_agent_hangs_up(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        leg, events, _ = await incoming(sip, phone)
        await leg.hang_up()
        assert (await next_of(events, Ended)).reason is EndReason.AGENT_HUNG_UP
        await phone.receive(lambda m: m.start.startswith("BYE"))


async def test_after_the_end_everything_does_nothing(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        leg, events, dialog = await incoming(sip, phone)
        await phone.bye(dialog)
        await next_of(events, Ended)
        await leg.answer()
        await leg.reject(EndReason.BUSY)
        await leg.hang_up()
        await leg.hold()
        await leg.resume()
        await leg.send_digits("1")
        leg.write(tone(0.02))
        assert (leg.read().size, leg.buffered(), leg.clear()) == (0, 0, 0)
        with pytest.raises(TransferFailed):
            await leg.transfer("+4930")


async def test_a_refused_call_hears_busy(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        phone.send(phone.request(phone.dialog(), "INVITE", phone.sdp()))
        leg = await anext(sip.incoming())
        await leg.reject(EndReason.REFUSED)
        assert (await phone.response()).status == 486
        assert await next_of(leg.events(), Ended) == Ended(EndReason.REFUSED)


async def test_the_caller_gives_up_while_it_rings(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        dialog = phone.dialog()
        phone.send(phone.request(dialog, "INVITE", phone.sdp()))
        leg = await anext(sip.incoming())
        phone.send(phone.request(dialog, "CANCEL", branch=dialog.branch))
        statuses = {(await phone.response("CANCEL")).status, (await phone.response("INVITE")).status}
        assert statuses == {200, 487}
        assert (await next_of(leg.events(), Ended)).reason is EndReason.CANCELLED


async def test_keys_arrive_as_events_and_as_info(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        _, events, dialog = await incoming(sip, phone)
        for key in "5#5":
            await phone.media.press(dialog, key)
        assert [await next_of(events, Digit) for _ in range(3)] == [Digit("5"), Digit("#"), Digit("5")]
        dialog.cseq += 1
        body = "Signal=7\r\nDuration=160\r\n"
        text = phone.request(dialog, "INFO", body).replace("application/sdp", "application/dtmf-relay")
        phone.send(text)
        assert (await phone.response("INFO")).status == 200
        assert await next_of(events, Digit) == Digit("7")


async def test_keys_are_sent_as_events(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        leg, _, _ = await incoming(sip, phone)
        await leg.send_digits("1*A")
        await asyncio.sleep(0.15)
        assert phone.media.keys_heard() == ["1", "*", "A"]


async def test_hold_and_resume_from_both_sides(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        leg, events, dialog = await incoming(sip, phone)
        assert "a=recvonly" in (await phone.reinvite(dialog, "sendonly")).body
        assert await next_of(events, RemoteHold) == RemoteHold(True)
        await phone.reinvite(dialog, "sendrecv")
        assert await next_of(events, RemoteHold) == RemoteHold(False)
        await leg.hold()
        await leg.resume()
        assert phone.directions == ["sendonly", "sendrecv"]
        phone.media.talk(dialog, tone(2.0))
        for start in range(0, 4000, 160):
            leg.write(tone(0.5)[start : start + 160])
        await asyncio.sleep(0.5)
        assert pitch(leg.read()[1600:], 8000) == pytest.approx(440, abs=6)
        assert pitch(phone.media.heard()[-2400:], 8000) == pytest.approx(440, abs=6)


async def test_a_transfer_that_works_ends_the_call(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        leg, events, _ = await incoming(sip, phone)
        phone.auto_refer = "200 OK"
        await leg.transfer("sip:reception@127.0.0.1")
        assert (await next_of(events, Ended)).reason is EndReason.TRANSFERRED
        refer = await phone.receive(lambda m: m.start.startswith("REFER"))
        assert "sip:reception@127.0.0.1" in refer.header("Refer-To")
        assert phone.directions == ["sendonly"]


@pytest.mark.parametrize("answer", ["603 Decline", "480 Temporarily Unavailable"])
async def test_a_transfer_that_fails_gives_the_caller_back(start_sip: Callable, answer: str) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        leg, events, dialog = await incoming(sip, phone)
        phone.auto_refer = answer
        with pytest.raises(TransferFailed, match=f"^{answer}$"):
            await leg.transfer("sip:reception@127.0.0.1")
        assert phone.directions == ["sendonly", "sendrecv"]
        await phone.bye(dialog)
        assert (await next_of(events, Ended)).reason is EndReason.CALLER_HUNG_UP


async def test_a_transfer_to_a_target_that_is_not_allowed_asks_nobody(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        leg, _, _ = await incoming(sip, phone)
        with pytest.raises(TransferFailed, match="pattern"):
            await leg.transfer("+1900555")
        assert not [m for m in phone.seen if m.start.startswith("REFER")]


async def test_rtp_that_stops_ends_the_call(start_sip: Callable) -> None:
    sip, settings = await start_sip(rtp_timeout_seconds=2)
    async with RawPhone(settings.sip_port) as phone:
        _, events, dialog = await incoming(sip, phone)
        phone.media.talk(dialog)
        await asyncio.sleep(0.3)
        phone.media.stop_talking()
        assert (await next_of(events, Ended, 6)).reason is EndReason.MEDIA_LOST


async def test_a_call_that_never_sends_rtp_ends(start_sip: Callable) -> None:
    sip, settings = await start_sip(rtp_timeout_seconds=2)
    async with RawPhone(settings.sip_port) as phone:
        _, events, _ = await incoming(sip, phone)
        assert (await next_of(events, Ended, 8)).reason is EndReason.MEDIA_LOST


async def test_the_watchdog_ends_a_call_that_is_held_by_nobody(start_sip: Callable) -> None:
    sip, settings = await start_sip(rtp_timeout_seconds=2)
    async with RawPhone(settings.sip_port) as phone:
        leg, events, dialog = await incoming(sip, phone)
        await phone.reinvite(dialog, "sendonly")
        now = asyncio.get_running_loop().time()
        await leg.check(now + 5, dead_seconds=10)
        assert not leg.ended
        await leg.check(now + 11, dead_seconds=10)
        assert (await next_of(events, Ended)).reason is EndReason.MEDIA_LOST


# Outbound


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
        for start in range(0, 4000, 160):
            leg.write(tone(0.5)[start : start + 160])
        await asyncio.sleep(0.4)
        assert pitch(phone.media.heard()[-1600:], 8000) == pytest.approx(440, abs=6)


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
