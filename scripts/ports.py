"""Free ports of this machine."""

import random
import socket

_OUR_RANGE = (10_000, 19_900)
"""Above the well-known services, below the agent's usual media ports (20000) and those that Linux hands out (32768)."""
_CHANCE = random.SystemRandom()
"""Not the common generator: whoever seeds that would get the same ports every time."""


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a port can be bound, for UDP and for TCP: SIP wants both."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind is socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def free_ports(count: int, host: str = "127.0.0.1") -> int:
    """The first of `count` neighbouring ports that are free now; an even number. Somebody may take one before you do;
    that is seen when you bind it. To make it rare they are drawn at random, and from below those that the system itself
    hands out to whoever connects."""
    for _ in range(1000):
        first = _CHANCE.randrange(*_OUR_RANGE, 2)
        if all(is_free(first + offset, host) for offset in range(count)):
            return first
    raise OSError(f"no {count} neighbouring ports of {host} are free")


def free_port(host: str = "127.0.0.1") -> int:
    """One such port."""
    return free_ports(1, host)


def machine_address() -> str:
    """The address under which this machine reaches others; loopback where there is no network. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # documentation address (RFC 5737): only the route to it is looked up
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address
