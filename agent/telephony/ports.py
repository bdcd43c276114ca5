"""Finds out before the SIP stack does, which would go on without a word, that its ports are taken."""

import errno
import ipaddress
import socket
from collections.abc import Iterable


class PortTaken(Exception):
    """A SIP port cannot be bound; the text says which, and what to do."""


def claim_ports(address: str, port: int, transports: Iterable[str]) -> None:
    """Bind and free each port that the stack will listen on. Raises PortTaken."""
    host = address or "0.0.0.0"
    family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    for transport in transports:
        wanted = port + 1 if transport == "tls" else port
        with socket.socket(family, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM) as probe:
            if transport != "udp":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, wanted))
            except OSError as error:
                why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
                raise PortTaken(
                    f"port {wanted} for SIP over {transport} at {host} {why}; "
                    "stop what uses it, or set another SIP port or address"
                ) from None
