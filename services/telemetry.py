"""What a process tells about itself: JSON lines on stderr, Prometheus numbers over HTTP, private data in neither."""

import asyncio
import contextvars
import json
import logging
import re
import sys
import time
from collections.abc import Mapping
from typing import Any

from prometheus_client import Counter, Gauge, Histogram, start_http_server

call_id: contextvars.ContextVar[str] = contextvars.ContextVar("call_id", default="")
"""Set once by the task that handles a call or stream; every log line below it carries it."""

REQUESTS = Counter("trunkline_worker_requests_total", "Streams and requests that have ended.", ("service", "code"))
LOOP_LAG = Histogram(
    "trunkline_event_loop_lag_seconds",
    "How much later than asked the event loop woke a sleeper.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0),
)
LOOP_TASKS = Gauge("trunkline_event_loop_tasks", "Tasks of the event loop that have not ended.")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Five or more digits, however grouped, and the user part of an address: what a phone number can look like. Ports and
# network addresses written into a text fall to it too; pass them as numbers in `extra`.
_NUMBER = re.compile(r"\+?\d(?:[\s()./-]{0,3}\d){4,}")
_ADDRESS = re.compile(r"(?i)\b(sips?:|tel:|mailto:)?[^\s@<>\"',;]{1,256}@(?=[\w.\[-])")
_words_allowed = False


class Plain(str):
    """Text for `extra` that is known to hold nothing private, such as the address of a worker: it is not redacted."""

    __slots__ = ()


def redact(text: str) -> str:
    """`text` without phone numbers and users of addresses."""
    if _words_allowed:
        return text
    if "@" in text:
        text = _ADDRESS.sub(lambda m: f"{m[1] or ''}[user]@", text)
    return _NUMBER.sub("[number]", text)


def spoken(text: str) -> str:
    """What a log may say of spoken or generated words: how many there are, unless the setting allows the words."""
    return text if _words_allowed else f"[{len(text.split())} words]"


def count_request(service: str, code: str) -> None:
    """Count one ended stream or request of `service` (full protobuf name or its last part) by its status code."""
    REQUESTS.labels(service.rsplit(".", 1)[-1], code).inc()


async def sample_loop_lag(interval: float = 0.25) -> None:
    """Measure the running event loop's lag for ever, every `interval` seconds; run it as a task of the process."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + interval
        await asyncio.sleep(interval)
        LOOP_LAG.observe(max(0.0, loop.time() - due))
        LOOP_TASKS.set(len(asyncio.all_tasks(loop)))


def _clean(value: Any) -> Any:
    """`value` as JSON knows it, every text in it redacted."""
    match value:
        case Plain():
            return str(value)
        case str():
            return redact(value)
        case bool() | int() | float() | None:
            return value
        case Mapping():
            return {redact(str(key)): _clean(one) for key, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(one) for one in value]
        case _:
            return redact(str(value))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, call id, and whatever `extra` holds, redacted."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        entry: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if current := call_id.get():
            entry["call_id"] = current
        entry |= {key: _clean(value) for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            entry["traceback"] = redact(self.formatException(record.exc_info))
        if record.stack_info:
            entry["stack"] = redact(self.formatStack(record.stack_info))
        return json.dumps(entry)


def configure_logging(level: str, words_allowed: bool) -> None:
    """Send every logger's lines to stderr as JSON. `words_allowed` switches redaction off, for debugging."""
    global _words_allowed
    _words_allowed = words_allowed
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def serve_metrics(host: str, port: int) -> int:
    """Serve this process's Prometheus numbers at `http://host:port/metrics`; returns the port. Raises OSError if it is
    taken."""
    server, _ = start_http_server(port, host)
    return int(server.server_port)
