"""A tool behind an HTTP address: POST in, JSON out, everything that can go wrong a result."""

import asyncio
import json
import os
from collections.abc import Mapping
from typing import Any

import aiohttp

from agent.definition import Webhook
from agent.tools.results import ToolResult, error_result

LARGEST = 64 * 1024
"""Bytes of an answer: more than a model should read in a call."""


async def call_webhook(
    session: aiohttp.ClientSession, webhook: Webhook, arguments: Mapping[str, Any], call_id: str, key: str
) -> ToolResult:
    """POST `{call_id, tool, arguments, idempotency_key}` and return the JSON object that comes back.

    Results with `error`: timeout, unreachable, status (the server said no), not_json, too_large. A 4xx answer with a
    JSON object is handed on as `answer`, so that the model can read what was wrong.
    """
    body = {"call_id": call_id, "tool": webhook.name, "arguments": arguments, "idempotency_key": key}
    # Nothing packed: a few bytes must not unfold into gigabytes before they can be counted.
    headers = {"Idempotency-Key": key, "Accept-Encoding": "identity"} | _secret(webhook)
    try:
        async with asyncio.timeout(webhook.timeout_seconds):
            # Redirects are not followed: the definition names the only address that gets the caller's data.
            async with session.post(webhook.url, json=body, headers=headers, allow_redirects=False) as response:
                text = await _limited(response)
    except TimeoutError:
        return error_result("timeout", f"no answer within {webhook.timeout_seconds:g} s")
    except aiohttp.ClientError as error:
        return error_result("unreachable", type(error).__name__)
    if text is None:
        return error_result("too_large", f"the answer is longer than {LARGEST} bytes")
    return _read(response.status, text)


def _secret(webhook: Webhook) -> dict[str, str]:
    value = os.environ.get(webhook.secret_variable, "") if webhook.secret_variable else ""
    return {webhook.secret_header: value} if value else {}


async def _limited(response: aiohttp.ClientResponse) -> bytes | None:
    body = bytearray()
    async for chunk in response.content.iter_chunked(8192):
        body += chunk
        if len(body) > LARGEST:
            return None
    return bytes(body)


def _read(status: int, text: bytes) -> ToolResult:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if not 200 <= status < 300:
        more = {"answer": answer} if isinstance(answer, dict) and 400 <= status < 500 else {}
        return error_result("status", f"the server answered {status}", **more)
    if not isinstance(answer, dict):
        return error_result("not_json", "the answer is not a JSON object")
    return ToolResult(json.dumps(answer))
