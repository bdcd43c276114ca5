"""What the SIP stack says when a call closes, as one of the project's end reasons. Pure."""

from typing import Literal

from agent.telephony.leg import EndReason

TRANSFERRED = "Call transfered"
"""The stack's words (and spelling) after a REFER whose target answered."""
MEDIA_LOST = "rtp stream error"
"""The stack's words when no RTP came for `rtp_timeout` seconds."""

_BY_STATUS: dict[int, EndReason] = {
    401: EndReason.UNAUTHORIZED,
    403: EndReason.UNAUTHORIZED,
    407: EndReason.UNAUTHORIZED,
    404: EndReason.UNREACHABLE,
    410: EndReason.UNREACHABLE,
    480: EndReason.UNREACHABLE,
    484: EndReason.UNREACHABLE,
    502: EndReason.UNREACHABLE,
    503: EndReason.UNREACHABLE,
    604: EndReason.UNREACHABLE,
    408: EndReason.NO_ANSWER,
    486: EndReason.BUSY,
    600: EndReason.BUSY,
    487: EndReason.CANCELLED,
    603: EndReason.DECLINED,
    607: EndReason.DECLINED,
}
_NO_ROUTE = ("connection refused", "no route to host", "network is unreachable", "host is unreachable")


def status_of(text: str) -> int | None:
    """The SIP status that a closing text begins with: 486 of "486 Busy Here"; None for other texts."""
    head = text[:3]
    return int(head) if len(head) == 3 and head.isascii() and head.isdigit() and text[3:4] in ("", " ", ",") else None


def end_reason(text: str, direction: Literal["inbound", "outbound"], connected: bool) -> EndReason:
    """Why the far end, or the line, ended the call; `text` is what the stack reported at the close."""
    lowered = text.lower()
    if text == TRANSFERRED:
        return EndReason.TRANSFERRED
    if lowered == MEDIA_LOST:
        return EndReason.MEDIA_LOST
    if connected:
        return _after_answer(lowered)
    if direction == "inbound":
        # Before our answer a caller can only cancel, or let it ring until the stack gives up.
        return EndReason.NO_ANSWER if "timeout" in lowered else EndReason.CANCELLED
    status = status_of(text)
    if status is not None:
        return _BY_STATUS.get(status, EndReason.FAILED)
    if any(words in lowered for words in _NO_ROUTE):
        return EndReason.UNREACHABLE
    if "time" in lowered:  # "Connection timed out" (nobody replied), "Local timeout" (it rang for too long)
        return EndReason.NO_ANSWER if "local" in lowered else EndReason.UNREACHABLE
    return EndReason.FAILED


def _after_answer(lowered: str) -> EndReason:
    # A BYE closes the dialog without a status; the stack reports it as a reset or not at all.
    if not lowered or "reset by peer" in lowered or "bye" in lowered:
        return EndReason.CALLER_HUNG_UP
    return EndReason.MEDIA_LOST if "timed out" in lowered else EndReason.FAILED
