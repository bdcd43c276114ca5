"""Inbound calls between the SIP leg and a raw SIP phone: what is on the wire, and what the leg says about it."""

import asyncio
from collections.abc import Callable

import pytest

from agent.telephony.leg import Connected, Digit, Ended, EndReason, RemoteHold, TransferFailed
from loadtest.rawphone import RawPhone
from tests.agent.telephony.calls import hears_tone, incoming, next_of, saying_tone, sound_from, tone
from tests.waiting import until


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
        phone.media.talk(dialog, tone(60))
        async with saying_tone(leg):
            await hears_tone(phone.media.heard)
            await hears_tone(sound_from(leg))
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
        await until(lambda: phone.media.keys_heard()[2:])
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
        phone.media.talk(dialog, tone(60))
        async with saying_tone(leg):
            await hears_tone(sound_from(leg))
            await hears_tone(phone.media.heard)


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
        assert (await next_of(events, Ended)).reason is EndReason.MEDIA_LOST


async def test_a_call_that_never_sends_rtp_ends(start_sip: Callable) -> None:
    sip, settings = await start_sip(rtp_timeout_seconds=2)
    async with RawPhone(settings.sip_port) as phone:
        _, events, _ = await incoming(sip, phone)
        assert (await next_of(events, Ended)).reason is EndReason.MEDIA_LOST


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
