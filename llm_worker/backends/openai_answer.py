"""Chunks of a streamed chat completion to the steps of an answer: text at once, tool calls when they are whole."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field

from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import ChoiceDelta, ChoiceDeltaToolCall

from llm_worker.backends import Call, Delta, Finished, Reason, Step, Usage
from services.errors import InternalError

_REASONS = {
    "stop": Reason.END,
    "content_filter": Reason.END,
    "length": Reason.LENGTH,
    "tool_calls": Reason.TOOL_CALLS,
    "function_call": Reason.TOOL_CALLS,
}


class MalformedCall(InternalError):
    """The model wrote a call that cannot be read, or of a tool that does not exist. Asking again may help."""


@dataclass
class _Fragments:
    name: str = ""
    arguments: str = ""


@dataclass
class Assembly:
    """What has come of one answer. Feed it every chunk; when `finish_reason` is set, ask for `end`."""

    tools: Collection[str]
    finish_reason: str = ""
    usage: Usage | None = None
    _calls: dict[int, _Fragments] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Nothing more is worth waiting for."""
        return bool(self.finish_reason) and self.usage is not None

    def feed(self, chunk: object) -> Delta | None:
        """The text in a chunk. Raises InternalError for what is no chunk; the SDK does not check types."""
        if not isinstance(chunk, ChatCompletionChunk):
            raise InternalError("the server's stream holds something that is no chat completion chunk")
        try:
            return self._feed(chunk)
        except (AttributeError, TypeError, ValueError) as error:
            raise InternalError(f"the server's stream holds a malformed chunk ({error})") from error

    def end(self) -> list[Step]:
        """The calls, and how the answer ended. Raises MalformedCall."""
        reason = _REASONS.get(self.finish_reason, Reason.END)
        usage = self.usage or Usage()
        if reason is Reason.LENGTH:
            return [Finished(reason, usage)]  # a call that was cut off is no call
        calls: list[Step] = [self._call(fragments) for _, fragments in sorted(self._calls.items())]
        return [*calls, Finished(Reason.TOOL_CALLS if calls else Reason.END, usage)]

    def _feed(self, chunk: ChatCompletionChunk) -> Delta | None:
        if chunk.usage is not None:
            details = chunk.usage.prompt_tokens_details
            cached = (details.cached_tokens if details else 0) or 0
            self.usage = Usage(int(chunk.usage.prompt_tokens), int(cached), int(chunk.usage.completion_tokens))
        if not chunk.choices:
            return None
        choice = chunk.choices[0]
        self.finish_reason = choice.finish_reason or self.finish_reason
        for piece in choice.delta.tool_calls or ():
            self._add(piece)
        return _text(choice.delta)

    def _add(self, piece: ChoiceDeltaToolCall) -> None:
        # Some servers leave the index out; a name then begins a new call.
        function = piece.function
        index: int | None = piece.index  # typed as never None, but the SDK does not check
        if index is None:
            index = len(self._calls) - (0 if (function and function.name) or not self._calls else 1)
        fragments = self._calls.setdefault(index, _Fragments())
        if function is not None:
            fragments.name += function.name or ""
            fragments.arguments += function.arguments or ""

    def _call(self, fragments: _Fragments) -> Call:
        if fragments.name not in self.tools:
            raise MalformedCall("the model called a tool that it was not given")
        arguments = fragments.arguments.strip() or "{}"
        try:
            value = json.loads(arguments)
        except (json.JSONDecodeError, RecursionError):
            raise MalformedCall(f"the model's arguments for {fragments.name} are not JSON") from None
        if not isinstance(value, dict):
            raise MalformedCall(f"the model's arguments for {fragments.name} are no JSON object")
        return Call(fragments.name, arguments)


def _text(delta: ChoiceDelta) -> Delta | None:
    if not delta.content:
        return None
    # JSON can hold half of a surrogate pair, protobuf cannot.
    text = delta.content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return Delta(text)
