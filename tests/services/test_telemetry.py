"""Logs: JSON, with the call, without numbers and words. Metrics: over HTTP."""

import asyncio
import io
import json
import logging
import re
import socket
import time
import urllib.request
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from services.telemetry import (
    JsonFormatter,
    Plain,
    call_id,
    configure_logging,
    count_request,
    redact,
    sample_loop_lag,
    serve_metrics,
    spoken,
)


@pytest.fixture
def logged() -> Any:
    """A logger and the entries it has written."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    log = logging.Logger("test")
    log.addHandler(handler)
    return log, lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    "number",
    [
        "+49 30 1234567", "0301234567", "(030) 123-4567", "030/1234567", "+1-202-555-0143", "12.34.56.78", "110 110",
        "+4930123٤٥٦٧", "tel:+493012345",
    ],
)  # fmt: skip
def test_numbers_are_redacted(number: str) -> None:
    assert not re.search(r"\d", redact(f"call from {number} failed"))
    assert redact(f"call from {number} failed").endswith(" failed")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("sip:anna@example.org", "sip:[user]@example.org"),
        ("SIPS:anna:pass@[::1]", "SIPS:[user]@[::1]"),
        ("<sip:anna.b@10.0.0.1>;tag=x", None),
        ("mailto:anna@example.org, please", "mailto:[user]@example.org, please"),
        ("anna@example.org", "[user]@example.org"),
        ("four 1234 digits and @ alone", "four 1234 digits and @ alone"),
    ],
)
def test_users_of_addresses_are_redacted(text: str, left: str | None) -> None:
    assert redact(text) == left if left else "anna" not in redact(text)


@given(st.text(alphabet="a1@.: +-()<>", max_size=200))
def test_nothing_that_could_be_a_number_is_left(text: str) -> None:
    assert not re.search(r"\d(?:[\s().-]{0,2}\d){4,}", redact(text))


@pytest.mark.timeout(30)
def test_hostile_text_is_read_in_one_pass() -> None:
    """What grows with the square of the length would take minutes here."""
    for text in ("a." * 50_000 + "@", "1 " * 50_000, "a@" * 50_000, "1" * 100_000 + "x", "sip:" * 25_000 + "@"):
        assert len(redact(text)) <= len(text) * 4


def test_words_are_counted_not_written() -> None:
    assert spoken("I would like an appointment") == "[5 words]"


def test_a_line_has_what_is_needed_and_no_number(logged: Any) -> None:
    log, entries = logged
    call_id.set("call-7")
    log.warning(
        "call from %s",
        "+49301234567",
        extra={"worker": "stt", "port": 50051, "to": "sip:anna@h", "at": Plain("10.0.0.1:50051")},
    )
    (entry,) = entries()
    assert entry.pop("time").endswith("Z")
    assert entry == {
        "level": "warning",
        "logger": "test",
        "message": "call from [number]",
        "call_id": "call-7",
        "worker": "stt",
        "port": 50051,
        "to": "sip:[user]@h",
        "at": "10.0.0.1:50051",
    }
    call_id.set("")


def test_nested_extras_and_objects_are_redacted(logged: Any) -> None:
    log, entries = logged

    class Caller:
        def __str__(self) -> str:
            return "caller 0301234567"

    log.info("x", extra={"headers": {"From 0301234567": ["sip:anna@h", None, 1.5]}, "who": Caller()})
    (entry,) = entries()
    assert entry["headers"] == {"From [number]": ["sip:[user]@h", None, 1.5]}
    assert entry["who"] == "caller [number]"


def test_tracebacks_are_redacted(logged: Any) -> None:
    log, entries = logged
    try:
        raise ValueError("no route to +49 30 1234567 for sip:anna@example.org")
    except ValueError:
        log.exception("failed", stack_info=True)
    (entry,) = entries()
    assert "ValueError: no route to [number] for sip:[user]@example.org" in entry["traceback"]
    assert "1234567" not in json.dumps(entry)
    assert "test_tracebacks_are_redacted" in entry["stack"]


def test_each_task_logs_its_own_call(logged: Any) -> None:
    log, entries = logged

    async def call(name: str) -> None:
        call_id.set(name)
        await asyncio.sleep(0)
        log.info("x")

    async def both() -> None:
        await asyncio.gather(call("one"), call("two"))

    asyncio.run(both())
    assert [entry["call_id"] for entry in entries()] == ["one", "two"]


def test_words_and_numbers_only_when_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure_logging("info", words_allowed=True)
        logging.getLogger("x").info("0301234567 says %s", spoken("hello"))
        logging.getLogger("x").debug("not at this level")
    finally:
        configure_logging("info", words_allowed=False)
        root.handlers[:] = handlers
        root.setLevel(level)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "0301234567 says hello"
    assert spoken("hello") == "[1 words]"


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_requests_are_counted_by_service_and_code() -> None:
    before = value("trunkline_worker_requests_total", service="Echo", code="OK")
    count_request("trunkline.echo.v1.Echo", "OK")
    assert value("trunkline_worker_requests_total", service="Echo", code="OK") == before + 1


async def test_a_blocked_loop_shows_in_the_lag() -> None:
    def seen() -> float:
        return value("trunkline_event_loop_lag_seconds_sum")

    before = seen()
    sampler = asyncio.create_task(sample_loop_lag(interval=0.01))
    await asyncio.sleep(0.005)
    time.sleep(0.1)  # noqa: ASYNC251 - that is the fault
    await asyncio.sleep(0.02)
    sampler.cancel()
    assert seen() - before >= 0.08


def test_metrics_are_served() -> None:
    count_request("Echo", "OK")
    port = serve_metrics("127.0.0.1", 0)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as reply:
        text = reply.read().decode()
    assert 'trunkline_worker_requests_total{code="OK",service="Echo"}' in text


def test_a_taken_metrics_port_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(OSError, match="in use"):
        serve_metrics("127.0.0.1", other.getsockname()[1])
