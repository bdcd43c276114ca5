"""The mirror against a worker that keeps the rules of the contract: whatever is done, lost or late, they agree."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clients.mirror import Mirror
from agent.clients.operations import Generate, Retract
from agent.clients.types import (
    Done,
    FinishReason,
    GenerationLost,
    Message,
    MindLost,
    Role,
    TextDelta,
    ToolCall,
    ToolCallAsked,
    Truncated,
)
from tests.agent.clients.mirror_world import World

OPERATIONS = ("append", "more", "commit", "retract", "generate", "generate", "stop", "truncate")
HAPPENINGS = (
    "lose",
    "open",
    "open",
    "take",
    "take",
    "take",
    "speak",
    "speak",
    "call",
    "finish",
    "deliver",
    "answer",
    "answer",
    "move",
    "move",
)
ACTIONS = st.tuples(st.sampled_from((*OPERATIONS, *HAPPENINGS, "unreachable")), st.integers(0, 12))


@settings(max_examples=250, deadline=None)
@given(st.lists(ACTIONS, min_size=15, max_size=60))
def test_whatever_happens_both_agree_and_every_generation_ends_once(actions: list[tuple[str, int]]) -> None:
    world = World()
    world.open()
    for action, number in actions:
        world.act(action, number)
    world.settle()
    assert world.worker
    theirs = [entry for entry in world.worker.talk.texts() if entry[1]]
    ours = [(m.id, m.text or "".join(c.name for c in m.tool_calls)) for m in world.mirror.history()]
    assert ours == theirs
    assert sorted(world.settled) == sorted(world.asked)
    assert not world.mirror.busy


def test_history_carries_calls_and_results() -> None:
    mirror = Mirror(())
    mirror.opening()
    mirror.append(Message(1, Role.USER, "look"), provisional=False)
    mirror.generate(2, None)
    call = ToolCall("c1", "look", "{}", (7, 8, 9))
    mirror.received(TextDelta(2, "Let me look.", (1, 2, 3)))
    assert mirror.received(ToolCallAsked(2, call)) == ToolCallAsked(2, call)
    mirror.received(Done(2, FinishReason.TOOL_CALLS))
    mirror.append(Message(3, Role.TOOL, "7", tool_call_id="c1"), provisional=False)
    mirror.lost(opened=True)
    history, operations = mirror.opening()
    assert operations == ()
    assert [(m.id, m.tool_calls, m.tool_call_id) for m in history] == [(1, (), ""), (2, (call,), ""), (3, (), "c1")]
    assert history[1].token_ids == (1, 2, 3)


def test_a_lost_answer_names_what_was_said_and_asked() -> None:
    mirror = Mirror(())
    mirror.opening()
    mirror.generate(2, None)
    mirror.received(TextDelta(2, "One ", (4,)))
    mirror.received(TextDelta(2, "moment.", (5, 6)))
    call = ToolCall("c1", "book", "{}")
    mirror.received(ToolCallAsked(2, call))
    assert mirror.lost(opened=True) == (GenerationLost(2, "One moment.", (call,)),)


def test_token_ids_are_kept_only_while_they_are_all_there() -> None:
    mirror = Mirror(())
    mirror.opening()
    mirror.generate(2, None)
    mirror.received(TextDelta(2, "a", (1,)))
    mirror.received(TextDelta(2, "b", (2, 3)))
    assert mirror.history()[-1].token_ids == (1, 2, 3)
    mirror.received(TextDelta(2, "c"))
    mirror.received(TextDelta(2, "d", (4,)))
    assert (mirror.history()[-1].text, mirror.history()[-1].token_ids) == ("abcd", ())


def test_after_stop_text_is_kept_in_the_history_and_not_told() -> None:
    mirror = Mirror(())
    mirror.opening()
    mirror.generate(2, None)
    mirror.stop(2)
    assert mirror.received(TextDelta(2, "late")) is None
    assert mirror.history()[-1].text == "late"
    mirror.truncate(2, 2)
    assert mirror.received(TextDelta(2, "r")) is None
    assert mirror.history()[-1].text == "la"
    assert mirror.received(Truncated(2, "l")) == Truncated(2, "l")
    assert mirror.history()[-1].text == "l"


def test_a_provisional_tail_goes_over_as_operations() -> None:
    mirror = Mirror((Message(1, Role.SYSTEM, "s"),))
    mirror.append(Message(2, Role.USER, "u"), provisional=True)
    mirror.generate(3, None)
    history, operations = mirror.opening()
    assert [m.id for m in history] == [1]
    assert operations[1] == Generate(3, None)
    assert mirror.retract(2).send == (Retract(2),)


@pytest.mark.parametrize(
    ("operation", "problem"),
    [
        (lambda m: m.append(Message(1, Role.USER, "x"), False), "cannot be appended as user"),
        (lambda m: m.append(Message(9, Role.ASSISTANT, "x"), False), "cannot be appended as assistant"),
        (lambda m: m.commit(9), "no appended message 9"),
        (lambda m: m.retract(1), "is committed"),
        (lambda m: m.generate(1, None), "id 1 is taken"),
    ],
)
def test_what_cannot_be(operation: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        operation(Mirror((Message(1, Role.SYSTEM, "s"),)))


def test_unreachable_is_told_once_until_a_worker_comes() -> None:
    mirror = Mirror(())
    assert mirror.unreachable("gone") == (MindLost("gone"),)
    assert mirror.unreachable("gone") == ()
    assert mirror.generate(2, None).events == (GenerationLost(2, "", reachable=False),)
    mirror.opening()
    mirror.opened()
    assert mirror.generate(3, None).send == (Generate(3, None),)
