"""Which address an INVITE came from, read from the stack's trace."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from agent.telephony import sources
from agent.telephony.sources import TRACE, SourceWatch


@pytest.fixture
def watch() -> Iterator[SourceWatch]:
    with SourceWatch() as watch:
        yield watch


def trace(text: str) -> None:
    logging.getLogger(TRACE).debug("%s", text)


def invite(source: str, header: str) -> str:
    return f"RX UDP {source} -> 10.0.0.1:5060\nINVITE sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP 6.6.6.6\r\n{header}\r\n\r\n"


@pytest.mark.parametrize(
    ("source", "header", "call_id", "expected"),
    [
        ("203.0.113.5:5060", "Call-ID: abc@host", "abc@host", "203.0.113.5"),
        ("203.0.113.5:5060", "i:abc", "abc", "203.0.113.5"),
        ("[2001:db8::1]:5060", "CALL-ID : abc", "abc", "2001:db8::1"),
    ],
)
async def test_the_source(watch: SourceWatch, source: str, header: str, call_id: str, expected: str) -> None:
    trace(invite(source, header))
    assert await watch.source_of(call_id) == expected


async def test_the_trace_may_come_after_the_event(watch: SourceWatch) -> None:
    asyncio.get_running_loop().call_later(0.05, trace, invite("10.0.0.9:5060", "Call-ID: late"))
    assert await watch.source_of("late") == "10.0.0.9"


@pytest.mark.parametrize(
    "text",
    [
        "TX UDP 10.0.0.9:5060 -> 10.0.0.1:5060\nINVITE sip:x@y SIP/2.0\r\nCall-ID: abc\r\n",
        "RX UDP 10.0.0.9:5060 -> 10.0.0.1:5060\nOPTIONS sip:x@y SIP/2.0\r\nCall-ID: abc\r\n",
        "RX UDP 10.0.0.9:5060 -> 10.0.0.1:5060 (9000 bytes, too large to trace)",
        "RX UDP rubbish\nINVITE x\r\nCall-ID: abc\r\n",
    ],
)
async def test_what_is_no_received_invite_has_no_source(
    watch: SourceWatch, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "WAIT_SECONDS", 0.02)
    trace(text)
    assert await watch.source_of("abc") == ""


async def test_a_flood_pushes_out_the_oldest(watch: SourceWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "WAIT_SECONDS", 0.02)
    for index in range(sources.REMEMBERED + 1):
        trace(invite("10.0.0.9:5060", f"Call-ID: c{index}"))
    assert await watch.source_of("c0") == ""
    assert await watch.source_of("c1") == "10.0.0.9"


def test_the_trace_reaches_no_log(watch: SourceWatch) -> None:
    seen: list[logging.LogRecord] = []

    class Log(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    handler = Log(logging.DEBUG)
    parent = logging.getLogger("baresip.native")
    parent.addHandler(handler)
    parent.setLevel(logging.DEBUG)
    trace(invite("10.0.0.9:5060", "Call-ID: private"))
    parent.warning("something else")
    parent.removeHandler(handler)
    parent.setLevel(logging.NOTSET)
    assert [record.getMessage() for record in seen] == ["something else"]
