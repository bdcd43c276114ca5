"""The language model's contract: our values to protobuf and back."""

import json

from agent.clients.failover import Draining, Opened
from agent.clients.operations import Append, Commit, Generate, Operation, Retract, Stop, Truncate
from agent.clients.types import (
    Done,
    FinishReason,
    Message,
    MindEvent,
    Opening,
    Prefilled,
    Role,
    Sampling,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallAsked,
    ToolChoice,
    Truncated,
)
from protos import language_model_pb2 as pb

_ROLES = {
    Role.SYSTEM: pb.ROLE_SYSTEM,
    Role.USER: pb.ROLE_USER,
    Role.ASSISTANT: pb.ROLE_ASSISTANT,
    Role.TOOL: pb.ROLE_TOOL,
}
_CHOICES = {
    ToolChoice.AUTO: pb.TOOL_CHOICE_AUTO,
    ToolChoice.NONE: pb.TOOL_CHOICE_NONE,
    ToolChoice.REQUIRED: pb.TOOL_CHOICE_REQUIRED,
}
_REASONS = {
    pb.FINISH_REASON_END: FinishReason.END,
    pb.FINISH_REASON_TOOL_CALLS: FinishReason.TOOL_CALLS,
    pb.FINISH_REASON_LENGTH: FinishReason.LENGTH,
    pb.FINISH_REASON_STOPPED: FinishReason.STOPPED,
}


def encode_open(call_id: str, opening: Opening, history: tuple[Message, ...]) -> pb.ConverseRequest:
    """The first message of a stream."""
    return pb.ConverseRequest(
        open=pb.Open(
            conversation_id=call_id,
            model=opening.model,
            history=map(_message, history),
            tools=map(_tool, opening.tools),
            sampling=_sampling(opening.sampling),
            language=opening.language,
            now=opening.now,
        )
    )


def encode(operation: Operation) -> pb.ConverseRequest:
    """An operation."""
    match operation:
        case Append(message, provisional):
            append = pb.Append(
                message_id=message.id,
                role=_ROLES[message.role],
                text=message.text,
                tool_call_id=message.tool_call_id,
                provisional=provisional,
            )
            return pb.ConverseRequest(append=append)
        case Commit(message_id):
            return pb.ConverseRequest(commit=pb.Commit(message_id=message_id))
        case Retract(message_id):
            return pb.ConverseRequest(retract=pb.Retract(message_id=message_id))
        case Generate(generation_id, sampling):
            own = _sampling(sampling) if sampling else None
            return pb.ConverseRequest(generate=pb.Generate(generation_id=generation_id, sampling=own))
        case Stop(generation_id):
            return pb.ConverseRequest(stop=pb.Stop(generation_id=generation_id))
        case Truncate(generation_id, keep):
            return pb.ConverseRequest(truncate=pb.Truncate(generation_id=generation_id, keep_code_points=keep))


def decode(response: pb.ConverseResponse) -> MindEvent | Opened | Draining | None:
    """A response; None for one of a later version of the contract."""
    match response.WhichOneof("message"):
        case "opened":
            return Opened(response.opened.worker_id)
        case "draining":
            return Draining(response.draining.deadline_seconds)
        case "prefilled":
            return Prefilled(response.prefilled.message_id, response.prefilled.tokens)
        case "text":
            return TextDelta(response.text.generation_id, response.text.text, tuple(response.text.token_ids))
        case "tool_call":
            asked = response.tool_call.call
            call = ToolCall(asked.id, asked.name, asked.arguments_json, tuple(asked.token_ids))
            return ToolCallAsked(response.tool_call.generation_id, call)
        case "done":
            return _done(response.done)
        case "truncated":
            return Truncated(response.truncated.generation_id, response.truncated.kept_text)
        case _:
            return None


def _done(done: pb.Done) -> Done:
    return Done(
        generation_id=done.generation_id,
        reason=_REASONS.get(done.reason, FinishReason.END),
        prompt_tokens=done.prompt_tokens,
        cached_tokens=done.cached_tokens,
        generated_tokens=done.generated_tokens,
        first_token_seconds=done.first_token_seconds,
        total_seconds=done.total_seconds,
    )


def _message(message: Message) -> pb.Message:
    return pb.Message(
        id=message.id,
        role=_ROLES[message.role],
        text=message.text,
        token_ids=message.token_ids,
        tool_calls=(
            pb.ToolCall(id=c.id, name=c.name, arguments_json=c.arguments_json, token_ids=c.token_ids)
            for c in message.tool_calls
        ),
        tool_call_id=message.tool_call_id,
    )


def _tool(tool: Tool) -> pb.Tool:
    return pb.Tool(name=tool.name, description=tool.description, parameters_json=json.dumps(dict(tool.parameters)))


def _sampling(sampling: Sampling) -> pb.Sampling:
    return pb.Sampling(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        min_p=sampling.min_p,
        seed=sampling.seed,
        stop=sampling.stop,
        max_tokens=sampling.max_tokens,
        tool_choice=_CHOICES[sampling.tool_choice],
    )
