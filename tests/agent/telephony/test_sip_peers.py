"""Calls with SIP programs that are not ours: Kamailio, Debian's baresip, SIPp; TLS and SRTP among them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from agent.telephony.leg import Connected, Ended, EndReason, LegEvent
from agent.telephony.sip import SipRuntime
from loadtest.rawphone import RawPhone
from tests.agent.telephony.agent_process import agent_process
from tests.agent.telephony.calls import hears_tone, next_of, saying_tone, sound_from, tone
from tests.agent.telephony.peers import PASSWORD, baresip_calls, certificate, kamailio, sipp
from tests.waiting import LONG

pytestmark = pytest.mark.peer
SCENARIO = Path(__file__).parent / "sipp" / "caller.xml"


class Echoed:
    """Answers the next call and says a tone to a phone that echoes."""

    def __init__(self, sip: SipRuntime) -> None:
        self._sip = sip
        self.events: AsyncIterator[LegEvent]

    async def tone(self) -> None:
        """Return when it comes back."""
        leg = await anext(self._sip.incoming())
        await leg.answer()
        self.events = leg.events()
        await next_of(self.events, Connected)
        async with saying_tone(leg):
            await hears_tone(sound_from(leg), leg.rate)


def account(port: int, transport: str) -> dict[str, object]:
    return {
        "sip_registrar": f"127.0.0.1:{port}",
        "sip_domain": "127.0.0.1",
        "sip_user": "agent",
        "sip_password": PASSWORD,
        "sip_transport": transport,
    }


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_kamailio_registers_us_and_routes_a_call_in(tmp_path: Path, start_sip: Callable, transport: str) -> None:
    async with kamailio(tmp_path) as proxy, RawPhone(proxy) as phone:
        sip, _ = await start_sip(**account(proxy, transport))
        await asyncio.wait_for(sip.wait_registered(), LONG)
        calling = asyncio.create_task(phone.call(called="agent"))
        leg = await anext(sip.incoming())
        await leg.answer()
        dialog = await calling
        assert f":{proxy}" in dialog.routes[0]
        events = leg.events()
        await next_of(events, Connected)
        phone.media.talk(dialog, tone(60))
        await hears_tone(sound_from(leg))
        await leg.hold()
        await leg.resume()
        assert phone.directions == ["sendonly", "sendrecv"]
        assert (await phone.bye(dialog)).status == 200
        assert (await next_of(events, Ended)).reason is EndReason.CALLER_HUNG_UP


async def test_our_bye_finds_its_way_through_kamailio(tmp_path: Path, start_sip: Callable) -> None:
    async with kamailio(tmp_path) as proxy, RawPhone(proxy) as phone:
        sip, _ = await start_sip(**account(proxy, "udp"))
        leg = await sip.dial(f"sip:{phone.user}@127.0.0.1:{phone.port}")  # through the proxy, which asks for digest
        invite = await phone.receive(lambda m: m.start.startswith("INVITE"))
        assert invite.header("Record-Route")
        phone.respond(invite, "200 OK", phone.sdp(), tag="x")
        events = leg.events()
        await next_of(events, Connected)
        await phone.receive(lambda m: m.start.startswith("ACK"))
        await leg.hang_up()
        bye = await phone.receive(lambda m: m.start.startswith("BYE"))
        assert bye.source[1] == proxy


async def test_a_wrong_password_is_not_registered(tmp_path: Path, start_sip: Callable) -> None:
    async with kamailio(tmp_path) as proxy:
        sip, _ = await start_sip(**{**account(proxy, "udp"), "sip_password": "wrong"})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sip.wait_registered(), 1.5)
        leg = await sip.dial("sip:someone@127.0.0.1")
        assert (await next_of(leg.events(), Ended)).reason is EndReason.UNAUTHORIZED


@pytest.mark.parametrize("codec", ["pcmu", "pcma", "g722", "opus"])
async def test_baresip_echoes_what_we_say(tmp_path: Path, start_sip: Callable, codec: str) -> None:
    names = {"g722": "g722/16000/1", "opus": "opus/48000/2"}
    sip, settings = await start_sip(sip_codecs=(codec,))
    echoed = Echoed(sip)
    target = f"sip:4930@127.0.0.1:{settings.sip_port}"
    output = await baresip_calls(tmp_path, target, f";audio_codecs={names.get(codec, codec)}", echoed.tone())
    assert "Call established" in output
    assert (await next_of(echoed.events, Ended)).reason is EndReason.CALLER_HUNG_UP


async def test_baresip_over_tls_with_mandatory_srtp(tmp_path: Path, start_sip: Callable) -> None:
    both, _ = certificate(tmp_path, "agent")
    sip, settings = await start_sip(
        sip_transports=("udp", "tcp", "tls"), sip_certificate=both, sip_srtp="mandatory", sip_codecs=("pcmu",)
    )
    echoed = Echoed(sip)
    target = f"sip:4930@127.0.0.1:{settings.sip_port + 1};transport=tls"
    output = await baresip_calls(tmp_path, target, ";audio_codecs=pcmu;mediaenc=srtp-mand", echoed.tone())
    assert "Call established" in output, output[-1500:]
    assert (await next_of(echoed.events, Ended)).reason is EndReason.CALLER_HUNG_UP


async def test_we_dial_over_tls_and_trust_only_our_authority(tmp_path: Path, start_sip: Callable) -> None:
    both, authority = certificate(tmp_path, "far")
    async with agent_process(sip_transports=("udp", "tls"), sip_certificate=str(both), sip_srtp="mandatory") as far:
        ours = {"sip_transports": ("udp", "tls"), "sip_certificate": both, "sip_srtp": "mandatory"}
        sip, _ = await start_sip(sip_ca_file=authority, **ours)
        leg = await sip.dial(f"sip:4930@127.0.0.1:{far.port + 1};transport=tls")
        await next_of(leg.events(), Connected)
        await far.until("Connected")
        await leg.hang_up()


async def test_a_certificate_of_a_strangers_authority_is_refused(tmp_path: Path, start_sip: Callable) -> None:
    both, _ = certificate(tmp_path, "far")
    _, stranger = certificate(tmp_path, "stranger")
    async with agent_process(sip_transports=("udp", "tls"), sip_certificate=str(both)) as far:
        sip, _ = await start_sip(sip_transports=("udp", "tls"), sip_certificate=both, sip_ca_file=stranger)
        leg = await sip.dial(f"sip:4930@127.0.0.1:{far.port + 1};transport=tls")
        assert (await next_of(leg.events(), Ended)).reason in {EndReason.UNREACHABLE, EndReason.FAILED}


async def test_sipp_runs_its_scenario_five_times(tmp_path: Path) -> None:
    async with agent_process() as agent:
        code, output = await sipp(tmp_path, SCENARIO, agent.port, calls=5)
        assert code == 0, output[-3000:]
        for _ in range(5):
            assert "caller_hung_up" in await agent.until("Ended")
