"""Who may call, whom we may call, and how numbers are read from addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.telephony.policy import DialRules, TargetRefused, is_allowed_source, parse_networks, user_of


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.1.2.3", True),
        ("10.2.0.1", False),
        ("203.0.113.7", True),
        ("203.0.113.8", False),
        ("::ffff:10.1.2.3", True),
        ("2001:db8::5", True),
        ("2001:db9::5", False),
        ("", False),
        ("pbx.example.com", False),
        ("10.1.2.3.4", False),
    ],
)
def test_sources(address: str, allowed: bool) -> None:
    assert is_allowed_source(address, parse_networks(("10.1.0.0/16", "203.0.113.7", "2001:db8::/32"))) is allowed


def test_a_wrong_network_is_named() -> None:
    with pytest.raises(ValueError, match=r"'10\.0\.0\.0/40' is no network"):
        parse_networks(("10.0.0.0/8", "10.0.0.0/40"))


@pytest.mark.parametrize(
    ("address", "user"),
    [
        ("sip:+4930@host:5060;transport=udp", "+4930"),
        ('"A <b> c" <sip:alice@host>;tag=1', "alice"),
        ("<sips:bob@host>", "bob"),
        ("tel:+49301234;phone-context=x", "+49301234"),
        ("sip:host", "anonymous"),
        ("sip:bob:secret@host", "bob"),
        ("", "anonymous"),
        ("\x00\xff<>@@", "anonymous"),
    ],
)
def test_user_of(address: str, user: str) -> None:
    assert user_of(address) == user


@given(st.text())
def test_user_of_takes_anything(text: str) -> None:
    assert 1 <= len(user_of(text)) <= 64


RULES = DialRules(("+49*", "0NXXXXXX*", "112", "*@10.0.0.5", "reception@pbx.local:5080"), "trunk.example:5062")


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("+49 (30) 12-34", "sip:+49301234@trunk.example:5062"),
        ("tel:+4930", "sip:+4930@trunk.example:5062"),
        ("02123456", "sip:02123456@trunk.example:5062"),
        ("0212345678", "sip:0212345678@trunk.example:5062"),
        ("112", "sip:112@trunk.example:5062"),
        ("sip:anyone@10.0.0.5", "sip:anyone@10.0.0.5"),
        ("sip:reception@pbx.local:5080;transport=tcp", "sip:reception@pbx.local:5080;transport=tcp"),
    ],
)
def test_allowed_targets(target: str, address: str) -> None:
    assert RULES.resolve(target) == address


@pytest.mark.parametrize(
    "target",
    [
        "+1900123",
        "01123456",  # N is a digit from 2 to 9
        "0212345",  # too short
        "1122",
        "sip:anyone@10.0.0.6",
        "sip:+49301234@evil.example",  # a number pattern does not open other hosts
        "sip:reception@pbx.local",
        "sip:reception@pbx.local:5080@10.0.0.5",
        "sip:a@10.0.0.5\r\nX: y",
        "sip:a@10.0.0.5?Replaces=1",
        "sip:a@10.0.0.5;maddr=evil.example",
        "",
        "abc",
        "+49\n30",
    ],
)
def test_refused_targets(target: str) -> None:
    with pytest.raises(TargetRefused):
        RULES.resolve(target)


def test_refusals_do_not_repeat_the_number() -> None:
    with pytest.raises(TargetRefused) as refused:
        RULES.resolve("+1900123456")
    assert "1900" not in str(refused.value)


def test_nothing_is_allowed_without_patterns() -> None:
    with pytest.raises(TargetRefused, match="pattern"):
        DialRules((), "trunk").resolve("+4930")


def test_a_number_needs_a_trunk() -> None:
    with pytest.raises(TargetRefused, match="trunk"):
        DialRules(("*",), "").resolve("+4930")
