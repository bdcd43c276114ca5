"""What a process tells about itself: JSON lines on stderr, Prometheus numbers over HTTP, private data in neither."""

import contextvars
import json
import logging
import re
import sys
import time
from typing import Any

from prometheus_client import start_http_server

call_id: contextvars.ContextVar[str] = contextvars.ContextVar("call_id", default="")
"""Set once by the task that handles a call or stream; every log line below it carries it."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Five or more digits, however grouped, and the user part of an address: what a phone number can look like.
_NUMBER = re.compile(r"\+?\d(?:[\s().-]{0,2}\d){4,}")
_ADDRESS = re.compile(r"(?i)\b(sips?:|tel:|mailto:)?([^\s:@<>\"',;]+)@(?=[\w.\[-])")
_words_allowed = False


def redact(text: str) -> str:
    """`text` without phone numbers and users of addresses."""
    if _words_allowed:
        return text
    return _NUMBER.sub("[number]", _ADDRESS.sub(lambda m: f"{m[1] or ''}[user]@", text))


def spoken(text: str) -> str:
    """What a log may say of spoken or generated words: how many there are, unless the setting allows the words."""
    return text if _words_allowed else f"[{len(text.split())} words]"


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
        for key, value in vars(record).items():
            if key not in _STANDARD:
                entry[key] = redact(value) if isinstance(value, str) else value
        if record.exc_info:
            entry["traceback"] = redact(self.formatException(record.exc_info))
        return json.dumps(entry, default=lambda value: redact(str(value)))


def configure_logging(level: str, words_allowed: bool) -> None:
    """Send every logger's lines to stderr as JSON. `words_allowed` switches redaction off, for debugging."""
    global _words_allowed
    _words_allowed = words_allowed
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def serve_metrics(host: str, port: int) -> int:
    """Serve this process's Prometheus numbers at `http://host:port/metrics`; returns the port. Exits 1 if taken."""
    try:
        server, _ = start_http_server(port, host)
    except OSError as error:
        sys.exit(f"cannot serve metrics on {host}:{port}: {error.strerror}. Stop what uses the port, or set another.")
    return int(server.server_port)
