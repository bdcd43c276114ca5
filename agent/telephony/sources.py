"""Where an INVITE came from. The stack's events do not say; its trace of SIP messages does."""

import asyncio
import logging
import re
import threading
from collections import OrderedDict

TRACE = "baresip.native.sip"
_INVITE = re.compile(r"RX \w+ (\S+):\d+ -> \S+\nINVITE ")
_CALL_ID = re.compile(r"(?im)^(?:call-id|i)[ \t]*:[ \t]*(\S+)")
REMEMBERED = 1024
"""Call-IDs kept; a flood of INVITEs pushes out the oldest, whose calls are then refused."""
WAIT_SECONDS = 0.5


class SourceWatch(logging.Handler):
    """Reads the trace and keeps the address that each INVITE came from. The trace goes nowhere else: it holds numbers.

    The stack logs from a thread of its own, so the line may come a moment after the event of the call.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._sources: OrderedDict[str, str] = OrderedDict()
        self._guard = threading.Lock()

    def __enter__(self) -> "SourceWatch":
        logger = logging.getLogger(TRACE)
        logger.addHandler(self)
        logger.propagate = False
        logger.setLevel(logging.DEBUG)
        return self

    def __exit__(self, *exc: object) -> None:
        logger = logging.getLogger(TRACE)
        logger.removeHandler(self)
        logger.setLevel(logging.NOTSET)

    def emit(self, record: logging.LogRecord) -> None:
        """Called by the stack's log thread for each SIP message."""
        text = record.getMessage()
        invite = _INVITE.match(text)
        call_id = _CALL_ID.search(text) if invite else None
        if invite is None or call_id is None:
            return
        with self._guard:
            self._sources[call_id[1]] = invite[1].strip("[]")
            while len(self._sources) > REMEMBERED:
                self._sources.popitem(last=False)

    async def source_of(self, call_id: str) -> str:
        """IP address that the INVITE with this Call-ID came from; empty if the trace does not tell in time."""
        for _ in range(round(WAIT_SECONDS / 0.005)):
            with self._guard:
                source = self._sources.pop(call_id, None)
            if source is not None:
                return source
            await asyncio.sleep(0.005)
        return ""
