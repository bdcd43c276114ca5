"""Errors as JSON: `{"error": what, "detail": what to do}`."""

import json
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Problem(web.HTTPException):
    """An error answer with our own words."""

    def __init__(self, status: int, error: str, detail: str, retry_after: float | None = None) -> None:
        self.status_code = status
        headers = {"Retry-After": str(max(1, round(retry_after)))} if retry_after is not None else {}
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        body = json.dumps({"error": error, "detail": detail})
        super().__init__(text=body, content_type="application/json", headers=headers)


_WORDS = {
    404: ("not_found", "no such address; see the list of addresses in docs/http.md"),
    405: ("method_not_allowed", "this address does not take this method"),
    413: ("too_large", "the body is larger than 16 KiB"),
}


@web.middleware
async def json_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error answer is JSON; a bug is logged and answered with 500."""
    try:
        return await handler(request)
    except Problem:
        raise
    except web.HTTPException as error:
        if error.status < 400:
            raise
        what, detail = _WORDS.get(error.status, ("error", error.reason))
        raise Problem(error.status, what, detail) from None
    except ConnectionError:  # the other side left
        raise
    except Exception:
        log.exception("unexpected error in an HTTP request", extra={"method": request.method})
        raise Problem(500, "internal", "a bug; the agent's log has the traceback") from None
