"""What a conversation may hold: sizes, characters, tools, sampling. Checks raise InvalidRequest naming the field."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from llm_worker.messages import Message, Role, Sampling, Tool, ToolChoice
from services.errors import InvalidRequest

TOOL_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
_LANGUAGE = re.compile(r"[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*")
# C0 and C1 controls without tab, line feed and carriage return. No speech or prompt holds them; terminals, logs and
# some tokenizers choke on them.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_MOST_STOPS = 16
_LONGEST_SCHEMA = 64_000
_DEEPEST_SCHEMA = 32
_LONGEST_ID = 256
_MOST_CALLS = 64
_MARKS = 2  # ids of a call that are no text: of its beginning, and between name and arguments


@dataclass(frozen=True)
class Limits:
    """Largest conversation that is taken. Characters are Unicode code points."""

    messages: int = 1000
    message_characters: int = 32_000
    history_characters: int = 400_000
    tools: int = 64
    tool_characters: int = 64_000


def check_text(field: str, text: str, most: int) -> None:
    """`text` is of bearable length and free of control characters."""
    if len(text) > most:
        raise InvalidRequest(field, f"{len(text)} characters, at most {most} are taken")
    if found := _CONTROL.search(text):
        raise InvalidRequest(field, f"control character U+{ord(found[0]):04X} at position {found.start()}")


def check_setting(conversation_id: str, model: str, language: str, now: str) -> None:
    """What a conversation is told of its call; all of it may be empty. `now` is RFC 3339, `language` BCP 47."""
    check_text("open.conversation_id", conversation_id, _LONGEST_ID)
    check_text("open.model", model, _LONGEST_ID)
    check_text("open.language", language, 64)
    if language and not _LANGUAGE.fullmatch(language):
        raise InvalidRequest("open.language", "not a language tag as in BCP 47, e.g. en-GB")
    check_text("open.now", now, 64)
    try:
        if now:
            datetime.fromisoformat(now)
    except ValueError:
        raise InvalidRequest("open.now", "not a time as in RFC 3339, e.g. 2026-11-22T09:30:00+01:00") from None


def json_object(field: str, text: str) -> dict[str, Any]:
    """The object that `text` holds as JSON."""
    value = _json(field, text)
    if not isinstance(value, dict):
        raise InvalidRequest(field, f"a JSON object is needed, not {type(value).__name__}")
    return value


def schema(field: str, text: str) -> dict[str, Any]:
    """The JSON Schema of an object that `text` holds. Empty: no arguments."""
    check_text(field, text, _LONGEST_SCHEMA)
    value = json_object(field, text or '{"type": "object", "properties": {}}')
    if value.get("type") != "object":
        raise InvalidRequest(field, 'the schema must say "type": "object"')
    if _depth(value) > _DEEPEST_SCHEMA:
        raise InvalidRequest(field, f"nested too deeply, {_DEEPEST_SCHEMA} objects and lists in each other are taken")
    try:
        json.dumps(value, ensure_ascii=False).encode()
        Draft202012Validator.check_schema(value)
    except UnicodeEncodeError:
        raise InvalidRequest(field, "holds half of a surrogate pair, which is no character") from None
    except SchemaError as error:
        where = "/".join(str(part) for part in error.absolute_path)
        raise InvalidRequest(field, f"not a JSON Schema (2020-12), at /{where[:200]}: {error.message[:200]}") from None
    return value


def check_tools(tools: Sequence[Tool], limits: Limits) -> None:
    """Names are well formed and different, and all of them together not too long."""
    if len(tools) > limits.tools:
        raise InvalidRequest("open.tools", f"{len(tools)} tools, at most {limits.tools} are taken")
    seen: set[str] = set()
    size = 0
    for index, tool in enumerate(tools):
        field = f"open.tools[{index}]"
        if not TOOL_NAME.fullmatch(tool.name):
            raise InvalidRequest(f"{field}.name", "letters, digits and underscore, 1 to 64 of them")
        if tool.name in seen:
            raise InvalidRequest(f"{field}.name", f"{tool.name} is there twice")
        check_text(f"{field}.description", tool.description, limits.tool_characters)
        seen.add(tool.name)
        size += len(tool.description) + len(json.dumps(tool.parameters))
    if size > limits.tool_characters:
        raise InvalidRequest("open.tools", f"{size} characters together, at most {limits.tool_characters} are taken")


def check_sampling(field: str, sampling: Sampling) -> None:
    """Every value that is said is in its range."""
    _range(f"{field}.temperature", sampling.temperature, 0.0, 2.0)
    _range(f"{field}.top_p", sampling.top_p, 0.0, 1.0)
    if sampling.top_p == 0:
        raise InvalidRequest(f"{field}.top_p", "must be greater than 0")
    _range(f"{field}.min_p", sampling.min_p, 0.0, 1.0)
    if sampling.max_tokens is not None and sampling.max_tokens < 1:
        raise InvalidRequest(f"{field}.max_tokens", "must be at least 1")
    if len(sampling.stop) > _MOST_STOPS:
        raise InvalidRequest(f"{field}.stop", f"at most {_MOST_STOPS} are taken")
    for index, stop in enumerate(sampling.stop):
        if not stop or len(stop) > 100:
            raise InvalidRequest(f"{field}.stop[{index}]", "1 to 100 characters")


def check_choice(field: str, sampling: Sampling, tools: Sequence[Tool]) -> None:
    """A call can only be required where there is something to call."""
    if sampling.tool_choice is ToolChoice.REQUIRED and not tools:
        raise InvalidRequest(f"{field}.tool_choice", "REQUIRED, but the conversation was opened without tools")


def check_message(field: str, message: Message, limits: Limits) -> None:
    """A message by itself: size, characters, and that each role has only what belongs to it."""
    check_text(f"{field}.text", message.text, limits.message_characters)
    if message.role is not Role.ASSISTANT:
        if message.tool_calls:
            raise InvalidRequest(f"{field}.tool_calls", "only ROLE_ASSISTANT makes calls")
        if message.token_ids:
            raise InvalidRequest(f"{field}.token_ids", "only ROLE_ASSISTANT has generated ids")
    if len(message.token_ids) > len(message.text.encode(errors="replace")):
        raise InvalidRequest(f"{field}.token_ids", "more ids than the text has bytes")
    if len(message.tool_calls) > _MOST_CALLS:
        raise InvalidRequest(f"{field}.tool_calls", f"at most {_MOST_CALLS} are taken")
    for index, call in enumerate(message.tool_calls):
        if not call.id:
            raise InvalidRequest(f"{field}.tool_calls[{index}].id", "is empty")
        check_text(f"{field}.tool_calls[{index}].id", call.id, _LONGEST_ID)
        if not TOOL_NAME.fullmatch(call.name):
            raise InvalidRequest(f"{field}.tool_calls[{index}].name", "letters, digits and underscore, 1 to 64 of them")
        check_text(f"{field}.tool_calls[{index}].arguments_json", call.arguments, limits.message_characters)
        json_object(f"{field}.tool_calls[{index}].arguments_json", call.arguments)
        if len(call.token_ids) > len((call.name + call.arguments).encode(errors="replace")) + _MARKS:
            raise InvalidRequest(f"{field}.tool_calls[{index}].token_ids", "more ids than the call has bytes")
    if message.role is Role.TOOL:
        if not message.tool_call_id:
            raise InvalidRequest(f"{field}.tool_call_id", "ROLE_TOOL needs the call that this is the result of")
        check_text(f"{field}.tool_call_id", message.tool_call_id, _LONGEST_ID)
        _json(f"{field}.text", message.text)
    elif message.tool_call_id:
        raise InvalidRequest(f"{field}.tool_call_id", "only ROLE_TOOL is the result of a call")


def _json(field: str, text: str) -> Any:
    """The value of JSON that every reader can read: no NaN, no number that is too large for one."""
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise InvalidRequest(field, f"not JSON: {error.msg} at position {error.pos}") from None
    except ValueError:
        raise InvalidRequest(field, "not JSON that can be read: holds a number that is none, or too large") from None
    except RecursionError:
        raise InvalidRequest(field, "not JSON that can be read: nested too deeply") from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ValueError(text)
    return value


def _depth(value: Any) -> int:
    """How many objects and lists are in each other."""
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, (dict, list))]:
        depth += 1
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return depth


def _range(field: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not (math.isfinite(value) and low <= value <= high):
        raise InvalidRequest(field, f"{value:g} is not in {low:g} to {high:g}")
