"""What the stack says at the end of a call, in our words."""

import pytest

from agent.telephony.leg import EndReason
from agent.telephony.reasons import end_reason, status_of


@pytest.mark.parametrize(
    ("text", "direction", "connected", "reason"),
    [
        ("", "inbound", True, EndReason.CALLER_HUNG_UP),
        ("Connection reset by peer [104]", "inbound", True, EndReason.CALLER_HUNG_UP),
        ("Connection reset by peer [104]", "outbound", True, EndReason.CALLER_HUNG_UP),
        ("Connection reset by peer [104]", "inbound", False, EndReason.CANCELLED),
        ("Local timeout", "inbound", False, EndReason.NO_ANSWER),
        ("Call transfered", "inbound", True, EndReason.TRANSFERRED),
        ("rtp stream error", "outbound", True, EndReason.MEDIA_LOST),
        ("Connection timed out [110]", "inbound", True, EndReason.MEDIA_LOST),
        ("Connection timed out [110]", "outbound", False, EndReason.UNREACHABLE),
        ("Connection refused [111]", "outbound", False, EndReason.UNREACHABLE),
        ("Local timeout", "outbound", False, EndReason.NO_ANSWER),
        ("486 Busy Here", "outbound", False, EndReason.BUSY),
        ("600 Busy Everywhere", "outbound", False, EndReason.BUSY),
        ("603 Decline", "outbound", False, EndReason.DECLINED),
        ("487 Request Terminated", "outbound", False, EndReason.CANCELLED),
        ("408 Request Timeout", "outbound", False, EndReason.NO_ANSWER),
        ("480 Gone,SIP;cause=480", "outbound", False, EndReason.UNREACHABLE),
        ("401 Unauthorized", "outbound", False, EndReason.UNAUTHORIZED),
        ("499 Unheard of", "outbound", False, EndReason.FAILED),
        ("Protocol error [71]", "outbound", False, EndReason.FAILED),
        ("Protocol error [71]", "outbound", True, EndReason.FAILED),
    ],
)
def test_end_reason(text: str, direction: str, connected: bool, reason: EndReason) -> None:
    assert end_reason(text, direction, connected) is reason


@pytest.mark.parametrize(
    ("text", "status"),
    [("486 Busy", 486), ("486", 486), ("4861 x", None), ("", None), ("Local timeout", None), ("４８６ x", None)],
)
def test_status_of(text: str, status: int | None) -> None:
    assert status_of(text) == status
