"""Ports, settings, peers and a clock for telephony tests."""

import asyncio
import selectors
import shutil
import socket
from typing import Any

import pytest

from agent.telephony.config import SipSettings

LOCAL = "127.0.0.1"


def free_ports(count: int) -> int:
    """The first of `count` neighbouring ports, all free for UDP and TCP just now."""
    for _ in range(200):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((LOCAL, 0))
            first: int = probe.getsockname()[1] & ~1
        if first + count < 65535 and all(_is_free(first + offset) for offset in range(count)):
            return first
    raise RuntimeError("no free ports")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((LOCAL, port))
            except OSError:
                return False
    return True


def sip_settings(**changes: Any) -> SipSettings:
    """Settings for loopback on free ports; codecs G.711 unless asked otherwise."""
    first = free_ports(60)
    values: dict[str, Any] = {
        "sip_address": LOCAL,
        "sip_port": first,
        "rtp_ports": f"{first + 4}-{first + 59}",
        "sip_codecs": ("pcmu",),
        "dial_allow": ("*@127.0.0.1:*", "+49*", "*@127.0.0.1"),
    }
    return SipSettings(**{**values, **changes})


def need(program: str) -> str:
    """Path of a Debian peer; skips the test where it is not installed."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/bin")
    if path is None:
        pytest.skip(f"{program} is not installed (.ci/run installs it)")
    return path


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits for a timer: the clock jumps to it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while everybody sleeps."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now
