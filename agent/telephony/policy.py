"""Who may call us and whom we may call: networks of trunks, and patterns of targets. Pure."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SEPARATORS = re.compile(r"[ ().-]")
_NUMBER = re.compile(r"\+?[0-9*#]{1,32}")
_USER = re.compile(r"(?i)\s*(?:\"[^\"]*\"\s*|[^<]*)<?\s*(?:sips?:([^@;>\s?:]+)(?::[^@>\s]*)?@|tel:([^;>\s?]+))")
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])"
_TARGET = re.compile(
    rf"(?i)sips?:[A-Za-z0-9+_.*#!~'-]{{1,64}}@{_HOST}(?::[0-9]{{1,5}})?(?:;transport=(?:udp|tcp|tls))?"
)


class TargetRefused(ValueError):
    """A number or address that may not be called. The text names the rule, never the number."""


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks like 10.0.0.0/8, or single addresses. Raises ValueError naming the one that is wrong."""
    networks = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise ValueError(f"{text!r} is no network; write one like 203.0.113.0/24") from None
    return tuple(networks)


def is_allowed_source(address: str, networks: Iterable[Network]) -> bool:
    """Whether a call from this IP address is taken. Anything that is no IP address is not."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed.version == network.version and parsed in network for network in networks)


def user_of(address: str) -> str:
    """The number or user of `sip:+4930@host`, `"Name" <sip:…>;tag=…` or `tel:…`; "anonymous" where there is none."""
    found = _USER.match(address)
    return (found[1] or found[2])[:64] if found else "anonymous"


@dataclass(frozen=True, slots=True)
class DialRules:
    """Which targets may be dialled or transferred to."""

    patterns: tuple[str, ...]
    """`+49X.`-like: X is a digit, N a digit from 2 to 9, `*` at the end any rest, all else itself. A pattern with an
    @ is compared with the whole SIP address, others with the number. Empty: nothing may be dialled."""
    domain: str
    """Host, and port where needed, of the trunk that carries plain numbers; empty: only SIP addresses work."""

    def resolve(self, target: str) -> str:
        """The SIP address to dial. Raises TargetRefused."""
        text = target.strip()
        if text.lower().startswith(("sip:", "sips:")):
            if not _TARGET.fullmatch(text):
                raise TargetRefused("not a SIP address of the form sip:user@host")
            if not self._permits(text, user_of(text)):
                raise TargetRefused("no allowed dial pattern matches the SIP address")
            return text
        number = _SEPARATORS.sub("", text.removeprefix("tel:"))
        if not _NUMBER.fullmatch(number):
            raise TargetRefused("neither a number nor a SIP address of the form sip:user@host")
        if not self._permits("", number):
            raise TargetRefused("no allowed dial pattern matches the number")
        if not self.domain:
            raise TargetRefused("a plain number needs a trunk: set its domain, or dial sip:user@host")
        return f"sip:{number}@{self.domain}"

    def _permits(self, address: str, number: str) -> bool:
        for pattern in self.patterns:
            if "@" in pattern:
                subject = re.sub(r"^sips?:", "", address, flags=re.IGNORECASE).partition(";")[0].lower()
                if subject and _address_expression(pattern.lower()).fullmatch(subject):
                    return True
            elif not address and _number_expression(pattern).fullmatch(number):
                return True
        return False


def _number_expression(pattern: str) -> re.Pattern[str]:
    body, rest = (pattern[:-1], ".*") if pattern.endswith("*") else (pattern, "")
    digits = {"X": "[0-9]", "N": "[2-9]"}
    return re.compile("".join(digits.get(c, re.escape(c)) for c in body) + rest)


def _address_expression(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.removeprefix("sip:").split("*")))
