"""Whole conversations in virtual time: scripted workers, real turns, playout, tools and record."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from agent.clients.types import Message, Role, ToolCall
from agent.marks import Mark
from agent.telephony.leg import EndReason
from agent.tools.results import Action, CollectDigits, EndCall, TransferCall
from tests.stage import Stage, StageTools
from tests.stage_workers import Reply, tone
from tests.virtual_time import run_virtual

LONG = "We are open from Monday to Friday, eight in the morning until five in the afternoon, and never on weekends."


def question(history: Sequence[Message]) -> str:
    return next((m.text for m in reversed(history) if m.role is Role.USER), "")


def echo(history: Sequence[Message]) -> Sequence[Reply]:
    """Answers with what was asked."""
    return [f"You asked about {question(history)} Is there anything else I can do for you today?"]


def hours(history: Sequence[Message]) -> Sequence[Reply]:
    """Answers everything with the opening hours."""
    return [LONG]


def act(scene: Callable[[Stage], Coroutine[Any, Any, None]], *arguments: Any, **options: Any) -> Stage:
    """A stage made inside the virtual loop, and the scene played on it after the greeting."""

    async def talk() -> Stage:
        async with Stage(*arguments, **options) as stage:
            await stage.until(stage.speaking)
            await stage.quiet()
            await scene(stage)
        return stage

    return run_virtual(talk())


def test_greets_answers_and_writes_it_down() -> None:
    async def talk() -> Stage:
        async with Stage(echo, heard=["the opening hours, please."]) as stage:
            stage.recogniser.seconds = 0.05
            await stage.until(stage.speaking)
            assert stage.call.elapsed() <= 0.1, "the greeting is there before it is needed"
            await stage.quiet()
            stopped = await stage.say(1.2)
            await stage.until(stage.speaking)
            assert stage.now - stopped < 0.6
            await stage.quiet(0.5)
        return stage

    stage = run_virtual(talk())
    greeting, turn = stage.record.turns
    assert greeting.outcome == "greeting"
    assert turn.outcome == "answered"
    assert turn.caller == "the opening hours, please."
    assert turn.agent_heard == turn.agent_sent == stage.mind.said[-1].strip()
    assert turn.latency is not None
    assert sum(turn.stages.values()) == pytest.approx(turn.latency, abs=1e-9)
    assert turn.marks[Mark.FIRST_AUDIO] <= turn.marks[Mark.END_OF_TURN], "the answer was ready before the turn was over"
    assert stage.record.end == "caller_hung_up"


def test_an_answer_begun_in_a_pause_is_taken_back_when_the_caller_goes_on() -> None:
    async def scene(stage: Stage) -> None:
        await stage.say(0.8)
        await asyncio.sleep(0.4)  # the words so far end open: no turn yet, but an answer is being worked out
        stage.recogniser.texts[0] = "I would like to know the opening hours."
        await stage.say(1.0)
        await stage.until(stage.speaking)
        await stage.quiet(0.6)

    stage = act(scene, echo, heard=["I would like to"])
    turns = stage.record.turns[1:]
    assert [turn.caller for turn in turns] == ["I would like to know the opening hours."]
    assert [text.strip() for text in stage.mind.said[1:]] == [turns[0].agent_sent]
    assert sum(m.role is Role.USER for m in stage.mind.history) == 1
    assert stage.voice.opened > len(stage.record.turns), "there was an answer that nobody heard"


def test_who_goes_on_before_the_answer_is_heard_asks_one_question() -> None:
    async def scene(stage: Stage) -> None:
        await stage.say(1.0)
        await asyncio.sleep(0.8)  # the turn is over, and the model is slow
        await stage.say(1.2)
        await stage.until(stage.speaking)
        await stage.quiet()

    stage = act(scene, echo, heard=["When are you open?", "And where are you?"], first_token=1.5)
    turns = stage.record.turns[1:]
    assert [turn.caller for turn in turns] == ["When are you open? And where are you?"]
    assert sum(m.role is Role.USER for m in stage.mind.history) == 1
    assert "continued" in [kind for kind, _, _ in stage.record.events]


def test_an_interruption_cuts_the_history_where_the_caller_stopped_hearing() -> None:
    async def scene(stage: Stage) -> None:
        await stage.say(1.0)
        await stage.until(stage.speaking)
        began = stage.now
        await asyncio.sleep(3.0)
        speech = asyncio.ensure_future(stage.say(1.5))
        await stage.until(lambda: not stage.speaking())
        assert stage.last_sound - began - 3.0 < 0.35, "silence soon after the caller began"
        await speech
        stage.heard_for = stage.last_sound - began  # type: ignore[attr-defined]
        await stage.until(stage.speaking)
        await stage.quiet(0.5)

    stage = act(scene, hours, heard=["when are you open?", "no, I mean the address."])
    cut, after = stage.record.turns[1:]
    assert cut.outcome == "interrupted"
    assert LONG.startswith(cut.agent_heard)
    assert cut.agent_heard
    assert LONG[len(cut.agent_heard)] == " ", "only whole words were heard"
    spoken = stage.heard_for * 15  # type: ignore[attr-defined]
    assert spoken - 20 < len(cut.agent_heard) <= spoken
    assert stage.mind.said[1] == cut.agent_heard, "the model's history is what was heard"
    assert after.outcome == "answered"
    assert after.caller == "no, I mean the address."


def test_a_backchannel_over_the_agent_changes_nothing() -> None:
    async def scene(stage: Stage) -> None:
        await stage.say(1.0)
        await stage.until(stage.speaking)
        await asyncio.sleep(2.0)
        await stage.say(0.4)  # long enough to pause the agent
        await stage.quiet(1.5)

    stage = act(scene, hours, heard=["when are you open?", "mm-hm"])
    (turn,) = stage.record.turns[1:]
    assert turn.outcome == "answered"
    assert turn.agent_heard == LONG
    assert [kind for kind, _, _ in stage.record.events] == ["resumed"]


def test_a_noise_over_the_agent_is_forgotten() -> None:
    async def scene(stage: Stage) -> None:
        await stage.say(1.0)
        await stage.until(stage.speaking)
        await asyncio.sleep(2.0)
        stage.recogniser.texts.insert(0, "")
        await stage.say(0.4)
        await stage.quiet(1.5)
        await stage.say(1.0)
        await stage.until(stage.speaking)
        await stage.quiet()

    stage = act(scene, hours, heard=["when are you open?", "thank you."])
    assert [turn.outcome for turn in stage.record.turns[1:]] == ["answered", "answered"]
    assert stage.record.turns[2].caller == "thank you."


def test_an_answer_given_over_the_agents_last_word_counts() -> None:
    async def scene(stage: Stage) -> None:
        await stage.say(1.0)
        await stage.until(stage.speaking)
        await asyncio.sleep(len(LONG) / 15 - 0.35)
        await stage.say(0.2)  # ends just before the agent does, too short for an interruption
        await stage.quiet(0.2)
        await stage.until(stage.speaking)
        await stage.quiet()

    stage = act(scene, hours, heard=["when are you open?", "yes."])
    assert [turn.caller for turn in stage.record.turns[1:]] == ["when are you open?", "yes."]


Effect = Callable[[dict[str, Any]], Coroutine[Any, Any, tuple[dict[str, Any], Action | None]]]


def booking(history: Sequence[Message]) -> Sequence[Reply]:
    """Books when asked, and says so once it has the result."""
    last = history[-1]
    if last.role is Role.TOOL:
        return ["You are booked for Tuesday at ten in the morning, see you then."]
    if "book" in question(history) and not any(m.tool_calls for m in history):
        return [ToolCall("call-1", "book", "{}")]
    return [LONG]


def slow_booking(seconds: float, booked: list[float]) -> Effect:
    async def book(arguments: dict[str, Any]) -> tuple[dict[str, Any], None]:
        await asyncio.sleep(seconds)
        booked.append(asyncio.get_running_loop().time())
        return {"booked": True}, None

    return book


def test_a_write_waits_for_the_end_of_the_turn() -> None:
    begun: list[float] = []

    async def scene(stage: Stage) -> None:
        await stage.say(0.8)
        await asyncio.sleep(0.45)
        assert not stage.tools.calls, "not before the caller has finished"
        stage.recogniser.texts[0] = "please book it for me."
        begun.append(await stage.say(0.8))
        await stage.until(stage.speaking)
        await stage.quiet()

    stage = act(
        scene, booking, heard=["please book it for"], tools=StageTools({"book": ("write", slow_booking(0.1, []))})
    )
    assert stage.tools.calls == [("book", "call-1")]
    (turn,) = stage.record.turns[1:]
    assert turn.stages["tool"] == pytest.approx(0.1, abs=0.03)
    assert turn.latency is not None
    assert sum(turn.stages.values()) == pytest.approx(turn.latency)
    assert "booked for Tuesday" in turn.agent_heard


def test_an_interruption_during_a_write_leaves_one_booking_and_its_result() -> None:
    booked: list[float] = []

    async def scene(stage: Stage) -> None:
        await stage.say(1.0)
        await stage.until(lambda: stage.tools.calls)
        await stage.say(1.2)  # while the calendar is slow
        await stage.until(lambda: booked)
        await stage.until(stage.speaking)
        await stage.quiet()

    tools = StageTools({"book": ("write", slow_booking(2.0, booked))})
    stage = act(scene, booking, heard=["please book it.", "and what are your opening hours?"], tools=tools)
    assert len(booked) == 1
    assert stage.tools.calls == [("book", "call-1")]
    results = [m for m in stage.mind.history if m.role is Role.TOOL]
    assert [m.text for m in results] == ['{"booked": true}']
    assert stage.record.turns[-1].outcome == "answered"


def twice(history: Sequence[Message]) -> Sequence[Reply]:
    """Asks for two bookings at once."""
    if "twice" in question(history) and not any(m.tool_calls for m in history):
        return [ToolCall("call-1", "book", "{}"), ToolCall("call-2", "book", "{}")]
    return [LONG]


def test_a_tool_call_that_an_interruption_left_undone_is_answered_all_the_same() -> None:
    booked: list[float] = []

    async def scene(stage: Stage) -> None:
        await stage.say(1.0)
        await stage.until(lambda: stage.tools.calls)
        await stage.say(1.2)
        await stage.until(stage.speaking)
        await stage.quiet()

    tools = StageTools({"book": ("write", slow_booking(2.0, booked))})
    stage = act(scene, twice, heard=["book it twice, please.", "when are you open?"], tools=tools)
    results = {m.tool_call_id: m.text for m in stage.mind.history if m.role is Role.TOOL}
    assert len(booked) == 1
    assert results["call-1"] == '{"booked": true}'
    assert "interrupted" in results["call-2"]


def test_a_slow_tool_is_bridged_by_a_waiting_phrase_that_is_not_the_answer() -> None:
    async def scene(stage: Stage) -> None:
        stopped = await stage.say(1.0)
        await stage.until(stage.speaking)
        assert stage.now - stopped < 1.8
        await stage.quiet()
        await stage.until(stage.speaking)
        await stage.quiet()

    tools = StageTools({"book": ("write", slow_booking(4.0, []))}, waiting_phrase="One moment, please.")
    stage = act(scene, booking, heard=["book it, thank you."], tools=tools)
    (turn,) = stage.record.turns[1:]
    assert turn.latency is not None
    assert turn.latency > 4.0, "the answer is what counts"
    assert turn.agent_heard.startswith("You are booked")


def test_a_language_worker_lost_before_any_word_is_asked_again() -> None:
    async def scene(stage: Stage) -> None:
        stage.mind.lose_next = True
        await stage.say(1.0)
        await stage.until(stage.speaking)
        await stage.quiet()

    stage = act(scene, echo, heard=["the prices, please."])
    (turn,) = stage.record.turns[1:]
    assert turn.outcome == "answered"
    assert ("worker_lost", "llm") in [(kind, data.get("worker")) for kind, _, data in stage.record.events]


def test_a_lost_voice_is_an_apology_and_the_next_turn_is_answered() -> None:
    async def scene(stage: Stage) -> None:
        stage.voice.dead = True
        stopped = await stage.say(1.0)
        await stage.until(stage.speaking)
        assert stage.now - stopped < 1.5
        await stage.quiet(0.05)
        speech = asyncio.ensure_future(stage.say(1.0))
        await asyncio.sleep(0.5)
        stage.voice.dead = False
        await speech
        await stage.until(stage.speaking)
        await stage.quiet()

    stage = act(scene, echo, heard=["the prices, please.", "the address, please."])
    outcomes = [turn.outcome for turn in stage.record.turns]
    assert outcomes == ["greeting", "failed", "apology", "failed", "answered"]
    assert stage.record.turns[-1].caller == "the prices, please. the address, please.", "what was said is not lost"
    assert [turn.agent_heard for turn in stage.record.turns if turn.outcome == "failed"] == ["", ""]


def test_what_could_not_be_answered_is_answered_after_the_apology() -> None:
    async def scene(stage: Stage) -> None:
        stage.voice.dead = True
        await stage.say(1.0)
        await stage.until(stage.speaking)
        stage.voice.dead = False
        await stage.quiet(0.5)

    stage = act(scene, echo, heard=["the prices, please."])
    assert [turn.outcome for turn in stage.record.turns] == ["greeting", "failed", "apology", "answered"]
    assert "the prices" in stage.record.turns[-1].agent_heard
    assert sum(m.role is Role.USER for m in stage.mind.history) == 1


def test_a_call_that_cannot_go_on_is_ended_with_words() -> None:
    async def scene(stage: Stage) -> None:
        stage.voice.dead = True
        await stage.say(1.0)
        await stage.until(lambda: stage.record.end)

    stage = act(scene, echo, heard=["the prices, please."])
    assert stage.record.end == "failed"
    assert stage.record.turns[-1].outcome == "goodbye"
    assert "not working" in stage.record.turns[-1].agent_heard


def test_a_lost_recogniser_is_an_apology_in_time() -> None:
    async def scene(stage: Stage) -> None:
        stage.recogniser.dead = True
        stopped = await stage.say(1.0)
        await stage.until(stage.speaking)
        assert stage.now - stopped < 1.5
        await stage.quiet()
        stage.recogniser.dead = False
        await stage.say(1.0)
        await stage.until(stage.speaking)
        await stage.quiet()

    stage = act(scene, echo, heard=["the prices, please."])
    assert [turn.outcome for turn in stage.record.turns] == ["greeting", "apology", "answered"]


def test_silence_is_asked_about_and_then_ended() -> None:
    async def scene(stage: Stage) -> None:
        await stage.until(lambda: stage.record.end, limit=60)

    stage = act(scene, echo, definition={"limits": {"silence_seconds": 5, "silence_prompts": 2}})
    assert [turn.outcome for turn in stage.record.turns] == ["greeting", "prompt", "prompt", "goodbye"]
    assert stage.record.end == "agent_hung_up"


def test_a_call_has_a_longest_time() -> None:
    async def scene(stage: Stage) -> None:
        await stage.until(lambda: stage.record.end, limit=60)

    stage = act(scene, echo, definition={"limits": {"call_seconds": 10}})
    assert stage.record.end == "max_duration"
    assert stage.record.turns[-1].outcome == "goodbye"


def goodbye(history: Sequence[Message]) -> Sequence[Reply]:
    """Ends the call."""
    return ["Thank you for calling, goodbye.", ToolCall("call-1", "end_call", "{}")]


async def end_call(arguments: dict[str, Any]) -> tuple[dict[str, Any], Action]:
    return {"ended": True}, EndCall()


def test_the_end_of_a_call_waits_for_the_last_word() -> None:
    async def scene(stage: Stage) -> None:
        await stage.say(1.0)
        await stage.until(lambda: stage.record.end)

    stage = act(scene, goodbye, heard=["thanks, bye."], tools=StageTools({"end_call": ("write", end_call)}))
    assert stage.record.end == "agent_hung_up"
    assert stage.record.turns[-1].agent_heard == "Thank you for calling, goodbye."


def transfer(history: Sequence[Message]) -> Sequence[Reply]:
    """Transfers, and says what came of it."""
    last = history[-1]
    if last.role is Role.TOOL:
        return ["I am sorry, nobody is there."]
    return ["I will put you through.", ToolCall("call-1", "transfer_call", "{}")]


async def transfer_call(arguments: dict[str, Any]) -> tuple[dict[str, Any], Action]:
    return {}, TransferCall("desk", "100")


@pytest.mark.parametrize(("answer", "end"), [(None, "transferred"), ("486 Busy Here", "caller_hung_up")])
def test_a_transfer_and_the_way_back(answer: str | None, end: str) -> None:
    async def scene(stage: Stage) -> None:
        stage.leg.far.transfer_answer = answer
        await stage.say(1.0)
        await stage.until(stage.speaking)
        await stage.quiet(0.5)

    stage = act(
        scene, transfer, heard=["a person, please."], tools=StageTools({"transfer_call": ("write", transfer_call)})
    )
    assert stage.leg.far.transfers == ["100"]
    assert stage.record.end == end
    if answer:
        assert "nobody is there" in stage.record.turns[-1].agent_heard


def test_a_transfer_whose_success_arrives_with_the_end_of_the_call_ends_it() -> None:
    """As the SIP stack has it: one event says that the transfer is done and that the call is over, and 3.11's
    `wait_for` then swallows the cancellation of whoever waited for the first."""

    async def scene(stage: Stage) -> None:
        async def hand_over(target: str) -> None:
            loop = asyncio.get_running_loop()
            done = loop.create_future()

            def closed() -> None:
                done.set_result(None)
                stage.leg.far.end(EndReason.TRANSFERRED)

            loop.call_later(0.2, closed)
            await asyncio.wait_for(done, 30)

        stage.leg.transfer = hand_over  # type: ignore[method-assign]
        await stage.say(1.0)
        await stage.until(lambda: stage.record.end)

    stage = act(
        scene, transfer, heard=["a person, please."], tools=StageTools({"transfer_call": ("write", transfer_call)})
    )
    assert stage.record.end == "transferred"


def test_a_write_that_outlasts_the_call_does_not_hold_it_up() -> None:
    async def scene(stage: Stage) -> None:
        await stage.say(1.0)
        await stage.until(lambda: stage.tools.calls)
        stage.leg.far.end(EndReason.CALLER_HUNG_UP)
        began = stage.now
        await stage.until(lambda: stage.record.end)
        assert stage.now - began < 6

    booked: list[float] = []
    stage = act(
        scene, booking, heard=["please book it."], tools=StageTools({"book": ("write", slow_booking(20.0, booked))})
    )
    assert stage.record.end == "caller_hung_up"
    assert not booked


def digits(history: Sequence[Message]) -> Sequence[Reply]:
    """Collects a PIN."""
    last = history[-1]
    if last.role is Role.TOOL:
        return [f"Thank you, {last.text}"]
    return ["Please enter your PIN.", ToolCall("call-1", "collect_digits", "{}")]


async def collect_digits(arguments: dict[str, Any]) -> tuple[dict[str, Any], Action]:
    return {}, CollectDigits("", 8, "#", 5.0, masked=True)


def test_keys_are_collected_and_kept_out_of_the_record() -> None:
    async def scene(stage: Stage) -> None:
        await stage.say(1.0)
        await stage.until(stage.speaking)
        await stage.quiet()
        await asyncio.sleep(0.5)
        for key in "1234#":
            stage.leg.far.press(key)
            await asyncio.sleep(0.3)
        await stage.until(stage.speaking)
        await stage.quiet()

    stage = act(scene, digits, heard=["my account."], tools=StageTools({"collect_digits": ("write", collect_digits)}))
    assert stage.record.keys == "*****"
    result = next(m for m in stage.mind.history if m.role is Role.TOOL)
    assert '"1234"' in result.text


def test_a_held_call_is_silent_and_goes_on_where_it_was() -> None:
    async def scene(stage: Stage) -> None:
        await stage.say(1.0)
        await stage.until(stage.speaking)
        await asyncio.sleep(1.0)
        stage.leg.far.hold()
        await asyncio.sleep(0.2)
        silent_from = stage.now
        stage.leg.far.speak(tone(0.5))  # music on hold is nobody's turn
        await asyncio.sleep(20)
        assert stage.last_sound < silent_from
        stage.leg.far.hold(held=False)
        await stage.until(stage.speaking)
        await stage.quiet(0.5)

    stage = act(scene, hours, heard=["when are you open?"])
    (turn,) = stage.record.turns[1:]
    assert turn.outcome == "answered"
    assert turn.agent_heard == LONG
