"""What the model generated comes to the agent and goes back to a worker as it was."""

from agent.clients.llm_wire import decode, encode_open
from agent.clients.types import Message, Opening, Role, ToolCall, ToolCallAsked
from llm_worker.exchange import Asked
from llm_worker.messages import ToolCall as Call
from llm_worker.request import Opening as Opened
from llm_worker.wire import operation, response


def test_ids_of_a_call_survive_both_ways() -> None:
    call = Call("c1", "look", '{"day": "2026-11-24"}', (9, 40, 32, 77))
    event = decode(response(Asked(5, call), "worker"))
    assert event == ToolCallAsked(5, ToolCall("c1", "look", '{"day": "2026-11-24"}', (9, 40, 32, 77)))
    history = (Message(5, Role.ASSISTANT, tool_calls=(event.call,)),)
    opened = operation(encode_open("conversation", Opening(), history))
    assert isinstance(opened, Opened)
    assert opened.history[0].tool_calls == (call,)
