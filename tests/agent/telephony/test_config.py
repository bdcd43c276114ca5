"""Settings of the SIP side, and what the stack is told."""

from pathlib import Path

import pytest

from agent.telephony.config import SipSettings, listener_accounts, stack_config, trunk_account
from services.settings import SettingsError

PREFIX = "TRUNKLINE_AGENT_"


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("SIP_CODECS", "pcmu,speex", "not speex"),
        ("SIP_TRANSPORTS", "sctp", "not sctp"),
        ("SIP_TRANSPORTS", "udp,tls", "SIP_CERTIFICATE"),
        ("SIP_TRUNKS", "10.0.0.0/99", "no network"),
        ("SIP_PUBLIC_ADDRESS", "example.com", "does not appear to be an IPv4 or IPv6 address"),
        ("SIP_ADDRESS", "localhost", "does not appear to be an IPv4 or IPv6 address"),
        ("SIP_CERTIFICATE", "/nowhere.pem", "no such file"),
        ("SIP_REGISTRAR", "pbx.local", "SIP_USER"),
        ("RTP_PORTS", "30000-20000", "smaller"),
        ("RTP_PORTS", "many", "pattern"),
        ("SIP_SRTP", "maybe", "mandatory"),
        ("SIP_MAX_CALLS", "0", "greater"),
    ],
)
def test_a_wrong_setting_says_so(variable: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as error:
        SipSettings.read({PREFIX + variable: value})
    assert PREFIX + variable.split("_")[0] in str(error.value)


def test_passwords_are_not_shown() -> None:
    settings = SipSettings(sip_password="s3cret", sip_user="a", sip_registrar="pbx")
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in repr(trunk_account(settings, 0))


def test_the_stack_is_told(tmp_path: Path) -> None:
    certificate = tmp_path / "both.pem"
    certificate.write_text("")
    settings = SipSettings(
        sip_address="127.0.0.1",
        sip_port=5070,
        sip_transports=("udp", "tls"),
        sip_certificate=certificate,
        sip_max_calls=7,  # and 200 for calls that get stuck
        rtp_timeout_seconds=11,
    )
    lines = stack_config(settings, trace=False).render().splitlines()
    assert {"sip_listen 127.0.0.1:5070", "sip_transports udp,tls", "call_max_calls 207", "rtp_timeout 11"} <= set(lines)
    assert f"sip_certificate {certificate}" in lines
    assert "net_interface 127.0.0.1" in lines


def test_ipv6_addresses_are_written_in_brackets() -> None:
    settings = SipSettings(sip_address="::1", sip_port=5070, sip_public_address="2001:db8::1")
    config = stack_config(settings, trace=False).render()
    assert "sip_listen [::1]:5070" in config
    assert "net_interface ::1" in config
    line = listener_accounts(settings, 3478)[0].aor()
    assert line.startswith("<sip:trunkline@[::1];")
    assert "stunserver=stun:[::1]:3478" in line


@pytest.mark.parametrize(
    ("settings", "expected", "missing"),
    [
        (SipSettings(), ("catchall=yes", "100rel=yes", "regint=0"), ("mediaenc", "medianat")),
        (SipSettings(sip_srtp="optional"), (";mediaenc=srtp;",), ("srtp-mand",)),
        (SipSettings(sip_srtp="mandatory"), ("mediaenc=srtp-mand",), ()),
        (SipSettings(sip_public_address="203.0.113.1"), ("medianat=stun", "stunserver=stun:127.0.0.1:3478"), ()),
        (SipSettings(sip_codecs=("opus", "pcma")), ("audio_codecs=opus/48000/1,pcma",), ("pcmu",)),
    ],
)
def test_the_listener(settings: SipSettings, expected: tuple[str, ...], missing: tuple[str, ...]) -> None:
    line = listener_accounts(settings, 3478)[0].aor() + ";"
    assert all(part in line for part in expected)
    assert not any(part in line for part in missing)


def test_the_account_at_a_pbx() -> None:
    settings = SipSettings(
        sip_registrar="10.0.0.5:5061",
        sip_user="100",
        sip_domain="pbx.example",
        sip_transport="tls",
        sip_auth_user="a100",
    )
    account = trunk_account(settings, 0)
    assert account is not None
    line = account.aor()
    assert line.startswith("<sip:100@pbx.example;transport=tls>")
    assert all(part in line for part in ('outbound="sip:10.0.0.5:5061;transport=tls"', "regint=600", "auth_user=a100"))


def test_an_account_only_for_digest_does_not_register() -> None:
    account = trunk_account(
        SipSettings(sip_user="100", sip_domain="trunk", sip_registrar="trunk", sip_register=False), 0
    )
    assert account is not None
    assert account.reg_interval == 0


def test_no_account_without_a_user() -> None:
    assert trunk_account(SipSettings(), 0) is None
