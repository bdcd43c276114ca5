"""What an OpenAI-compatible server answers with, as our errors.

400, 413, 422             InvalidRequest   the prompt: too long, a tool schema that the server refuses
401, 403                  Unavailable      our key: this worker cannot serve, one with another key may
404                       NotFound         the model
408, 409, 5xx             Unavailable
429                       Busy             with the server's Retry-After
refused, cut, timed out   Unavailable
anything unreadable       InternalError
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime

import openai

from services.errors import Busy, InternalError, InvalidRequest, NotFound, ServiceError, Unavailable

_LONGEST_RETRY = 300.0


class KeyRefused(Unavailable):
    """Waiting does not help."""


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Raise what the SDK raises as our errors; `url` is for their texts."""
    try:
        yield
    except openai.APIStatusError as error:
        raise of_status(error.status_code, _message(error), error.response.headers, url) from error
    except openai.APITimeoutError as error:
        raise Unavailable(f"{url} did not answer in time") from error
    except openai.APIConnectionError as error:
        raise Unavailable(f"{url} cannot be reached, or broke off: {error.__cause__ or error}") from error
    except (openai.OpenAIError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InternalError(f"{url} sent an answer that cannot be read: {str(error)[:200]}") from error


def of_status(status: int, message: str, headers: Mapping[str, str], url: str) -> ServiceError:
    """The error that an HTTP status stands for."""
    match status:
        case 400 | 413 | 422:
            return InvalidRequest("", f"{url} refuses the request: {message}")
        case 401 | 403:
            return KeyRefused(f"{url} refuses the key (status {status}); check TRUNKLINE_LLM_API_KEY")
        case 404:
            return NotFound(f"{url}: {message}; check TRUNKLINE_LLM_MODEL and TRUNKLINE_LLM_URL (it ends in /v1)")
        case 429:
            return Busy(f"{url} is full: {message}", retry_after(headers, time.time()))
        case _ if status in (408, 409) or status >= 500:
            return Unavailable(f"{url} cannot answer now (status {status}): {message}")
        case _:
            return InternalError(f"{url} answered with status {status}: {message}")


def retry_after(headers: Mapping[str, str], now: float) -> float:
    """Seconds to wait, from `retry-after-ms` or `retry-after` (seconds or an HTTP date); 1 where nothing is said.
    `now` is Unix time."""
    try:
        if "retry-after-ms" in headers:
            wait = float(headers["retry-after-ms"]) / 1000
        elif (said := headers.get("retry-after", "")).replace(".", "", 1).isdecimal():
            wait = float(said)
        else:
            wait = parsedate_to_datetime(said).timestamp() - now if said else 1.0
    except ValueError:
        wait = 1.0
    return min(max(wait, 0.0), _LONGEST_RETRY)


def _message(error: openai.APIStatusError) -> str:
    """What the server says, shortened; bodies can be whole pages."""
    body = error.body
    said = body.get("message") if isinstance(body, dict) else None
    return str(said or error.message)[:300]
