"""Free ports of this machine, and who has one that is not free."""

import socket
from collections.abc import Sequence


def is_free(host: str, port: int, kinds: Sequence[socket.SocketKind] = (socket.SOCK_STREAM,)) -> bool:
    """Whether a port can be bound, for every kind."""
    for kind in kinds:
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind is socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def free_port(host: str = "127.0.0.1", kinds: Sequence[socket.SocketKind] = (socket.SOCK_STREAM,)) -> int:
    """A port that is free now, for every kind. Somebody may take it before you do; that is seen when you bind it."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, kinds[0]) as probe:
            probe.bind((host, 0))
            port: int = probe.getsockname()[1]
        if is_free(host, port, kinds):
            return port
    raise OSError(f"no port of {host} is free")


SIP_KINDS = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
"""SIP wants the same port for UDP and TCP."""


def machine_address() -> str:
    """The address under which this machine reaches others; loopback where there is no network. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # documentation address (RFC 5737): only the route to it is looked up
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address
