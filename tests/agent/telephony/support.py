"""Settings and peers for telephony tests."""

import shutil
from typing import Any

import pytest

from agent.telephony.config import SipSettings
from scripts.ports import free_ports

LOCAL = "127.0.0.1"


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
