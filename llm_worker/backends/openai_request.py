"""A prompt as the arguments of an OpenAI-compatible chat completion."""

from typing import Any

from llm_worker.messages import Message, Prompt, Role, paired
from llm_worker.setting import setting


def arguments(prompt: Prompt, model: str, temperature: float | None, max_tokens: int) -> dict[str, Any]:
    """Keyword arguments for `chat.completions.create`. `temperature` and `max_tokens` are for prompts without."""
    drawn = prompt.sampling
    request: dict[str, Any] = {
        "model": model,
        "messages": messages(prompt),
        "temperature": drawn.temperature if drawn.temperature is not None else temperature,
        "top_p": drawn.top_p,
        "seed": drawn.seed,
        "stop": list(drawn.stop) or None,
        "max_tokens": drawn.max_tokens or max_tokens,
    }
    if prompt.tools:
        request["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": dict(tool.parameters),
                },
            }
            for tool in prompt.tools
        ]
        request["tool_choice"] = drawn.tool_choice.value if drawn.tool_choice else None
    if drawn.min_p is not None:
        request["extra_body"] = {"min_p": drawn.min_p}
    return {name: value for name, value in request.items() if value is not None}


def messages(prompt: Prompt) -> list[dict[str, Any]]:
    """The history, with the time and language of the call at the end of the system prompt.

    They stand there and not in a message of their own because many chat templates take one system message only; and at
    its end, so that the part before it is the same for all calls and stays in the server's cache.
    """
    history = [_message(message) for message in paired(prompt.messages)]
    told = setting(prompt.now, prompt.language)
    if not told:
        return history
    if history and history[0]["role"] == "system":
        history[0]["content"] = f"{history[0]['content']}\n\n{told}"
        return history
    return [{"role": "system", "content": told}, *history]


def _message(message: Message) -> dict[str, Any]:
    match message.role:
        case Role.TOOL:
            return {"role": "tool", "tool_call_id": message.tool_call_id, "content": message.text}
        case Role.ASSISTANT if message.tool_calls:
            calls = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in message.tool_calls
            ]
            return {"role": "assistant", "content": message.text or None, "tool_calls": calls}
        case _:
            return {"role": message.role.value, "content": message.text}
