"""Calls that were offered and never announced."""

from baresip import Event, StackEvent

from agent.telephony.stuck import PATIENCE, StuckCalls


def offer(call: int) -> StackEvent:
    return StackEvent(Event.CALL_REMOTE_SDP, call=call, text="offer")


def test_an_announced_call_is_not_stuck_nor_are_its_later_offers() -> None:
    stuck = StuckCalls()
    stuck.on_stack_event(offer(7), 0.0)
    stuck.on_stack_event(StackEvent(Event.CALL_INCOMING, call=7), 0.0)
    stuck.on_stack_event(offer(7), 30.0)
    assert (stuck.check(60.0), stuck.possible) == (0, False)


def test_an_offer_without_a_call_is_stuck_once() -> None:
    stuck = StuckCalls()
    stuck.on_stack_event(offer(7), 0.0)
    stuck.on_stack_event(StackEvent(Event.CALL_INCOMING, call=8), 0.1)
    assert stuck.possible
    assert stuck.check(PATIENCE / 2) == 0
    assert stuck.check(PATIENCE + 0.1) == 1
    assert stuck.check(PATIENCE + 9) == 0
    assert stuck.count == 1
    assert stuck.possible


def test_an_offer_that_was_refused_in_time_is_not_stuck() -> None:
    stuck = StuckCalls()
    stuck.on_stack_event(offer(7), 0.0)
    stuck.on_stack_event(StackEvent(Event.CALL_CLOSED, call=7), 0.0)
    assert stuck.check(60.0) == 0
    assert not stuck.possible


def test_offers_of_dialled_calls_and_answers_are_not_looked_at() -> None:
    stuck = StuckCalls()
    stuck.on_stack_event(StackEvent(Event.CALL_OUTGOING, call=3), 0.0)
    stuck.on_stack_event(offer(3), 1.0)
    stuck.on_stack_event(StackEvent(Event.CALL_REMOTE_SDP, call=4, text="answer"), 1.0)
    assert stuck.check(60.0) == 0
