"""What each address of the API does."""

import asyncio
import json
import re
import sqlite3
from typing import Any

from aiohttp import web
from jsonschema import Draft202012Validator
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from agent.http.errors import Problem
from agent.http.switchboard import DialRefused, Switchboard
from agent.http.views import call_view, record_view
from agent.store import Store
from agent.store.store import MOST_LISTED
from services.errors import Busy, NotFound

OPEN = frozenset({"/healthz", "/readyz", "/metrics"})
"""Addresses that ask for no token."""

_DIAL = Draft202012Validator(
    {
        "type": "object",
        "properties": {
            "to": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[^\s\x00-\x1f\x7f]+$"},
            "agent": {"type": "string", "minLength": 1, "maxLength": 64},
        },
        "required": ["to", "agent"],
        "additionalProperties": False,
    }
)


class Routes:
    """The handlers."""

    def __init__(self, switchboard: Switchboard, store: Store) -> None:
        self._switchboard = switchboard
        self._store = store

    def all(self) -> list[web.AbstractRouteDef]:
        """For an aiohttp application."""
        return [
            web.get("/healthz", self.healthz),
            web.get("/readyz", self.readyz),
            web.get("/metrics", self.metrics),
            web.get("/calls", self.calls),
            web.post("/calls", self.dial),
            web.get("/calls/{id}", self.call),
            web.delete("/calls/{id}", self.hang_up),
            web.get("/calls/{id}/recording", self.recording),
            web.delete("/calls/{id}/record", self.delete),
        ]

    async def healthz(self, _: web.Request) -> web.Response:
        """The process runs."""
        return web.json_response({"status": "ok"})

    async def readyz(self, _: web.Request) -> web.Response:
        """Whether new calls are taken: 200 or 503."""
        ready, details = self._switchboard.ready()
        return web.json_response({"ready": ready, **details}, status=200 if ready else 503)

    async def metrics(self, _: web.Request) -> web.Response:
        """Prometheus numbers of this process."""
        text = await asyncio.to_thread(generate_latest)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def calls(self, request: web.Request) -> web.Response:
        """The newest calls; `next` is the `before` of the following page."""
        limit = _limit(request.query.get("limit", "50"))
        before = request.query.get("before")
        rows = await _reading(self._store.calls(limit, _valid(before) if before else None))
        page = [call_view(row) for row in rows]
        following = rows[-1].id if len(rows) == limit else None
        return web.json_response({"calls": page, "next": following, "active": list(self._switchboard.active())})

    async def call(self, request: web.Request) -> web.Response:
        """One call: transcript, turns, events."""
        record = await _reading(self._store.call(_id(request)))
        if record is None:
            raise Problem(404, "not_found", "no call with this id; GET /calls lists them")
        return web.json_response(record_view(record))

    async def recording(self, request: web.Request) -> web.StreamResponse:
        """The WAV file: caller left, agent right. Ranges are served; a call that goes on gives what there is."""
        path = await _reading(self._store.recording(_id(request)))
        if path is None:
            raise Problem(404, "not_found", "this call has no recording")
        return web.FileResponse(path, headers={"Content-Type": "audio/wav"})

    async def dial(self, request: web.Request) -> web.Response:
        """Begin an outbound call."""
        wish = await _body(request)
        try:
            call_id = await self._switchboard.dial(wish["to"], wish["agent"])
        except DialRefused as error:
            raise Problem(403, "refused", str(error)) from None
        except NotFound as error:
            raise Problem(404, "not_found", str(error)) from None
        except Busy as error:
            raise Problem(503, "busy", str(error), error.retry_after) from None
        return web.json_response({"id": call_id, "url": f"/calls/{call_id}"}, status=201)

    async def hang_up(self, request: web.Request) -> web.Response:
        """End a call."""
        call_id = _id(request)
        if not await self._switchboard.hang_up(call_id):
            raise Problem(404, "not_found", "no call with this id is up in this process; GET /calls lists `active`")
        return web.json_response({"id": call_id, "hanging_up": True}, status=202)

    async def delete(self, request: web.Request) -> web.Response:
        """Delete an ended call's record and recording."""
        if not await _reading(self._store.delete(_id(request))):
            raise Problem(404, "not_found", "no ended call with this id")
        return web.Response(status=204)


async def _reading(answer: Any) -> Any:
    """What the store says, or 503."""
    try:
        return await answer
    except (sqlite3.Error, OSError) as error:
        raise Problem(503, "unavailable", f"the call records cannot be read now: {error}", retry_after=5) from None


def _id(request: web.Request) -> str:
    return _valid(request.match_info["id"])


def _valid(call_id: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.~-]{1,64}", call_id):
        raise Problem(400, "invalid_id", "an id has 1 to 64 letters, digits and - _ . ~")
    return call_id


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= MOST_LISTED):
        raise Problem(400, "invalid_limit", f"limit: a number from 1 to {MOST_LISTED}")
    return int(text)


async def _body(request: web.Request) -> dict[str, str]:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise Problem(400, "invalid_json", 'send JSON: {"to": "<number>", "agent": "<name>"}') from None
    if mistake := next(_DIAL.iter_errors(body), None):
        # The message would repeat the number; the place alone says enough.
        where = ".".join(str(part) for part in mistake.absolute_path) or "body"
        what = "a string that is not empty, without spaces" if where != "body" else 'exactly "to" and "agent"'
        raise Problem(400, "invalid_body", f"{where}: must be {what}")
    wish: dict[str, str] = body
    return wish
