"""Odd and broken SIP against the real stack. Upgrading the library is safe when these pass."""

import asyncio
import json
import struct
from collections.abc import Callable

import pytest

from agent.telephony import metrics
from agent.telephony.leg import Connected, Ended, EndReason
from agent.telephony.sip import SipError, SipRuntime
from loadtest.rawphone import RawPhone
from services.telemetry import JsonFormatter
from tests.agent.telephony.calls import hears_tone, incoming, next_of, sound_from, tone
from tests.agent.telephony.support import sip_settings
from tests.waiting import LONG, until


async def still_answers(sip: SipRuntime, port: int) -> None:
    """A new phone makes a call that works."""
    async with RawPhone(port) as phone:
        leg, events, dialog = await incoming(sip, phone)
        await phone.bye(dialog)
        assert (await next_of(events, Ended)).reason is EndReason.CALLER_HUNG_UP
        assert leg.ended


async def test_an_invite_that_is_repeated_is_one_call(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        dialog = phone.dialog()
        invite = phone.request(dialog, "INVITE", phone.sdp())
        for _ in range(3):
            phone.send(invite)
            await asyncio.sleep(0.1)
        leg = await anext(sip.incoming())
        await leg.answer()
        answers = [await phone.response()]
        for _ in range(2):
            phone.send(invite)
            answers.append(await phone.response())
        assert {(a.status, a.header("To"), a.media_port) for a in answers} == {
            (200, answers[0].header("To"), answers[0].media_port)
        }
        assert sip.active == 1
        phone.confirm(dialog, answers[0])
        assert (await phone.bye(dialog)).status == 200


async def test_an_answer_is_repeated_until_it_is_acknowledged(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        dialog = phone.dialog()
        phone.send(phone.request(dialog, "INVITE", phone.sdp()))
        leg = await anext(sip.incoming())
        await leg.answer()
        answer = await phone.response()
        assert (await phone.response()).header("To") == answer.header("To")
        phone.confirm(dialog, answer)
        await next_of(leg.events(), Connected)


async def test_a_lost_bye_of_ours_is_sent_again(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        leg, events, _ = await incoming(sip, phone)
        phone.auto_ok = False
        await leg.hang_up()
        assert (await next_of(events, Ended)).reason is EndReason.AGENT_HUNG_UP
        await phone.receive(lambda m: m.start.startswith("BYE"))
        again = await phone.receive(lambda m: m.start.startswith("BYE"))
        phone.respond(again, "200 OK")
    await still_answers(sip, settings.sip_port)


async def test_a_bye_whose_answer_was_lost_gets_another_one(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        _, events, dialog = await incoming(sip, phone)
        dialog.cseq += 1
        bye = phone.request(dialog, "BYE")
        for _ in range(2):
            phone.send(bye)
            assert (await phone.response("BYE")).status == 200
        await next_of(events, Ended)


async def _answer_all(sip: SipRuntime) -> None:
    async for leg in sip.incoming():
        await leg.answer()


async def test_an_unknown_required_extension_is_refused_by_name(start_sip: Callable) -> None:
    _, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        phone.send(phone.request(phone.dialog(), "INVITE", phone.sdp(), extra="Require: foobar\r\n"))
        answer = await phone.response()
        assert answer.status == 420
        assert "foobar" in answer.header("Unsupported")


async def test_a_caller_that_requires_reliable_ringing_gets_it(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        dialog = phone.dialog()
        phone.send(phone.request(dialog, "INVITE", phone.sdp(), extra="Require: 100rel\r\nSupported: 100rel\r\n"))
        leg = await anext(sip.incoming())
        answering = asyncio.create_task(leg.answer())
        ringing = await phone.receive(lambda m: m.status == 180)
        await asyncio.sleep(0.1)  # the answer has to wait for the PRACK
        dialog.remote_to, dialog.cseq = ringing.header("To"), 2
        invite_branch = dialog.branch
        phone.send(phone.request(dialog, "PRACK", extra=f"RAck: {ringing.header('RSeq')} 1 INVITE\r\n"))
        answer = await phone.response("INVITE")
        assert answer.status == 200
        dialog.cseq, dialog.branch = 1, invite_branch
        phone.confirm(dialog, answer)
        await answering
        await next_of(leg.events(), Connected)


@pytest.mark.parametrize(("method", "statuses"), [("OPTIONS", {200}), ("FOOBAR", {405, 501}), ("BYE", {481})])
async def test_requests_outside_a_call(start_sip: Callable, method: str, statuses: set[int]) -> None:
    _, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        phone.send(phone.request(phone.dialog(), method))
        assert (await phone.response(method)).status in statuses


async def test_an_encrypted_offer_is_refused_where_encryption_is_off(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        accepting = asyncio.create_task(_answer_all(sip))
        phone.send(phone.request(phone.dialog(), "INVITE", phone.sdp().replace("RTP/AVP", "RTP/SAVP")))
        assert (await phone.response()).status in {415, 488}
        accepting.cancel()


async def test_a_plain_offer_is_refused_where_encryption_is_mandatory(start_sip: Callable) -> None:
    sip, settings = await start_sip(sip_srtp="mandatory")
    async with RawPhone(settings.sip_port) as phone:
        accepting = asyncio.create_task(_answer_all(sip))
        phone.send(phone.request(phone.dialog(), "INVITE", phone.sdp()))
        assert (await phone.response()).status in {415, 488}
        accepting.cancel()


def kinds(phone: RawPhone) -> set[int]:
    """Payload types of all that has arrived."""
    return {data[1] & 0x7F for _, data in phone.media.arrived}


async def test_keys_come_and_go_on_the_number_that_was_offered(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        leg, _, _ = await incoming(sip, phone, body=phone.sdp().replace("101", "117"))
        await leg.send_digits("5")
        await until(lambda: 117 in kinds(phone))
        assert 101 not in kinds(phone)


async def test_calls_from_elsewhere_are_refused_counted_and_named(
    start_sip: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    sip, settings = await start_sip(sip_trunks=("127.0.0.9",))
    before = metrics.refused.labels("source")._value.get()
    async with RawPhone(settings.sip_port) as stranger, RawPhone(settings.sip_port, address="127.0.0.9") as trunk:
        stranger.send(stranger.request(stranger.dialog(), "INVITE", stranger.sdp()))
        assert (await stranger.response()).status == 486
        assert metrics.refused.labels("source")._value.get() == before + 1
        (entry,) = [json.loads(JsonFormatter().format(record)) for record in caplog.records if "refused" in record.msg]
        assert (entry["source"], entry["setting"]) == ("127.0.0.1", "TRUNKLINE_AGENT_SIP_TRUNKS")
        # An address in the message changes nothing: the datagram's own counts.
        lying = stranger.request(stranger.dialog(), "INVITE", stranger.sdp())
        stranger.send(lying.replace(f"UDP 127.0.0.1:{stranger.port}", "UDP 127.0.0.9:5060"))
        assert (await stranger.response()).status == 486
        await incoming(sip, trunk)


async def test_the_call_after_the_last_one_allowed_hears_busy(start_sip: Callable) -> None:
    sip, settings = await start_sip(sip_max_calls=1)
    async with RawPhone(settings.sip_port) as first, RawPhone(settings.sip_port) as second:
        await incoming(sip, first)
        second.send(second.request(second.dialog(), "INVITE", second.sdp()))
        assert (await second.response()).status == 486


async def test_draining_refuses_new_calls_and_waits_for_the_last(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as first, RawPhone(settings.sip_port) as second:
        _, _, dialog = await incoming(sip, first)
        draining = asyncio.create_task(sip.drain())
        await asyncio.sleep(0.3)
        second.send(second.request(second.dialog(), "INVITE", second.sdp()))
        assert (await second.response()).status == 486
        assert not draining.done()
        await first.bye(dialog)
        await asyncio.wait_for(draining, LONG)


async def test_a_public_address_stands_in_the_answer(start_sip: Callable) -> None:
    sip, settings = await start_sip(sip_public_address="203.0.113.77")
    async with RawPhone(settings.sip_port) as phone:
        phone.send(phone.request(phone.dialog(), "INVITE", phone.sdp()))
        leg = await anext(sip.incoming())
        await leg.answer()
        answer = await phone.response()
        assert "c=IN IP4 203.0.113.77" in answer.body
        low, high = map(int, settings.rtp_ports.split("-"))
        assert low <= answer.media_port <= high


async def test_a_taken_port_is_a_clear_error(start_sip: Callable) -> None:
    async with RawPhone() as phone:
        settings = sip_settings(sip_port=phone.port)
        with pytest.raises(SipError, match=f"port {phone.port} for SIP over udp at 127.0.0.1 is taken"):
            async with SipRuntime(settings):
                pass
    await start_sip()


async def test_the_callers_sound_returns_after_packets_of_a_stranger(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone, RawPhone() as stranger:
        leg, _, dialog = await incoming(sip, phone)
        phone.media.talk(dialog, tone(60))
        await hears_tone(sound_from(leg))
        for index in range(40):
            noise = struct.pack("!BBHII", 0x80, 0, index, index * 160, 0xBAD) + bytes(160)
            stranger.media.send(noise, dialog.media)
            await asyncio.sleep(0.02)
        await hears_tone(sound_from(leg))
