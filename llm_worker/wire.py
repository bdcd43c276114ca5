"""Protobuf messages to values and back; nothing else. Unset enums and malformed tools are InvalidRequest."""

from llm_worker.backends import Reason
from llm_worker.checks import schema
from llm_worker.exchange import (
    Append,
    Asked,
    Commit,
    Done,
    Event,
    Generate,
    Leaving,
    Opened,
    Operation,
    Prefilled,
    Retract,
    Stop,
    Text,
    Truncate,
    Truncated,
)
from llm_worker.messages import Message, Role, Sampling, Tool, ToolCall, ToolChoice
from llm_worker.request import Opening
from protos import common_pb2
from protos import language_model_pb2 as pb
from services.errors import InvalidRequest

_ROLES = {
    pb.ROLE_SYSTEM: Role.SYSTEM,
    pb.ROLE_USER: Role.USER,
    pb.ROLE_ASSISTANT: Role.ASSISTANT,
    pb.ROLE_TOOL: Role.TOOL,
}
_CHOICES = {
    pb.TOOL_CHOICE_UNSPECIFIED: None,
    pb.TOOL_CHOICE_AUTO: ToolChoice.AUTO,
    pb.TOOL_CHOICE_NONE: ToolChoice.NONE,
    pb.TOOL_CHOICE_REQUIRED: ToolChoice.REQUIRED,
}
_REASONS = {
    Reason.END: pb.FINISH_REASON_END,
    Reason.TOOL_CALLS: pb.FINISH_REASON_TOOL_CALLS,
    Reason.LENGTH: pb.FINISH_REASON_LENGTH,
    Reason.STOPPED: pb.FINISH_REASON_STOPPED,
}


def operation(request: pb.ConverseRequest) -> Operation:
    """The operation that a client's message asks for."""
    match request.WhichOneof("message"):
        case "open":
            return _opening(request.open)
        case "append":
            append = request.append
            role = _role("append.role", append.role)
            piece = Message(append.message_id, role, append.text, tool_call_id=append.tool_call_id)
            return Append(piece, append.provisional)
        case "commit":
            return Commit(request.commit.message_id)
        case "retract":
            return Retract(request.retract.message_id)
        case "generate":
            return Generate(request.generate.generation_id, _sampling("generate.sampling", request.generate.sampling))
        case "stop":
            return Stop(request.stop.generation_id)
        case "truncate":
            return Truncate(request.truncate.generation_id, request.truncate.keep_code_points)
        case _:
            raise InvalidRequest("message", "is not set, or is of a newer contract than this worker's")


def response(event: Event, worker_id: str) -> pb.ConverseResponse:
    """The message that tells a client of `event`."""
    match event:
        case Opened(model, usage, context_limit):
            opened = pb.Opened(
                model=model,
                worker_id=worker_id,
                prompt_tokens=usage.prompt_tokens,
                cached_tokens=usage.cached_tokens,
                context_limit=context_limit,
            )
            return pb.ConverseResponse(opened=opened)
        case Prefilled(message_id, tokens):
            return pb.ConverseResponse(prefilled=pb.Prefilled(message_id=message_id, tokens=tokens))
        case Text(generation_id, text, token_ids):
            return pb.ConverseResponse(
                text=pb.TextDelta(generation_id=generation_id, text=text, token_ids=list(token_ids))
            )
        case Asked(generation_id, call):
            asked = pb.ToolCall(
                id=call.id, name=call.name, arguments_json=call.arguments, token_ids=list(call.token_ids)
            )
            return pb.ConverseResponse(tool_call=pb.ToolCallRequest(generation_id=generation_id, call=asked))
        case Done():
            return pb.ConverseResponse(done=_done(event))
        case Truncated(generation_id, kept_text):
            return pb.ConverseResponse(truncated=pb.Truncated(generation_id=generation_id, kept_text=kept_text))
        case Leaving(seconds):
            return pb.ConverseResponse(draining=common_pb2.Draining(deadline_seconds=seconds))


def _opening(request: pb.Open) -> Opening:
    history = tuple(_message(f"open.history[{index}]", message) for index, message in enumerate(request.history))
    tools = tuple(
        Tool(tool.name, tool.description, schema(f"open.tools[{index}].parameters_json", tool.parameters_json))
        for index, tool in enumerate(request.tools)
    )
    return Opening(
        conversation_id=request.conversation_id,
        model=request.model,
        history=history,
        tools=tools,
        sampling=_sampling("open.sampling", request.sampling),
        language=request.language,
        now=request.now,
    )


def _message(field: str, message: pb.Message) -> Message:
    return Message(
        id=message.id,
        role=_role(f"{field}.role", message.role),
        text=message.text,
        token_ids=tuple(message.token_ids),
        tool_calls=tuple(
            ToolCall(call.id, call.name, call.arguments_json, tuple(call.token_ids)) for call in message.tool_calls
        ),
        tool_call_id=message.tool_call_id,
    )


def _role(field: str, role: pb.Role.ValueType) -> Role:
    known = _ROLES.get(role)
    if known is None:
        raise InvalidRequest(field, "ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT or ROLE_TOOL is needed")
    return known


def _sampling(field: str, sampling: pb.Sampling) -> Sampling:
    if sampling.tool_choice not in _CHOICES:
        raise InvalidRequest(f"{field}.tool_choice", "unknown value")
    return Sampling(
        temperature=sampling.temperature if sampling.HasField("temperature") else None,
        top_p=sampling.top_p if sampling.HasField("top_p") else None,
        min_p=sampling.min_p if sampling.HasField("min_p") else None,
        seed=sampling.seed if sampling.HasField("seed") else None,
        stop=tuple(sampling.stop),
        max_tokens=sampling.max_tokens if sampling.HasField("max_tokens") else None,
        tool_choice=_CHOICES[sampling.tool_choice],
    )


def _done(event: Done) -> pb.Done:
    return pb.Done(
        generation_id=event.generation_id,
        reason=_REASONS[event.reason],
        prompt_tokens=event.usage.prompt_tokens,
        cached_tokens=event.usage.cached_tokens,
        generated_tokens=event.usage.generated_tokens,
        first_token_seconds=event.first_token_seconds,
        total_seconds=event.total_seconds,
    )
