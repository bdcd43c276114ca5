"""Scores of whole calls: what is right counts as right, and each kind of mistake is found."""

import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import date

import pytest

from llm_worker.backends import Call, Delta, Finished, Reason, Stateless, Step, Usage
from llm_worker.backends.scripted import FrontDesk
from llm_worker.forge import scripted
from llm_worker.forge.desk import MOST_ROUNDS, hold
from llm_worker.forge.dialogue import Dialogue, dialogues, lines
from llm_worker.forge.evaluate import Run, by_the_rules, converse, heard_by_hand, report
from llm_worker.forge.invention import inventions
from llm_worker.forge.score import Share, score, shares, wilson
from llm_worker.forge.verifier import CalendarVerifier, CallVerifier
from llm_worker.forge.world import State, World
from llm_worker.messages import Message, Prompt, Role, Sampling, ToolCall
from services.errors import Unavailable

ONE = next(each for each in dialogues() if each.id == "booking-plain")
EXERCISE = scripted.exercise(ONE, {})


class Says(FrontDesk):
    """A backend that gives the same steps each time."""

    def __init__(self, *steps: Step) -> None:
        super().__init__()
        self._steps = steps

    def open(self) -> Stateless:
        return Stateless(self)

    async def prefill(self, prompt: Prompt) -> Usage:
        return Usage()

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Step, None]:
        for step in self._steps:
            yield step
        yield Finished(Reason.END)


class Breaks(Says):
    async def generate(self, prompt: Prompt) -> AsyncGenerator[Step, None]:
        if prompt.messages:
            raise Unavailable("the model is away")
        yield Finished(Reason.END)


async def test_the_stand_in_books_for_a_plain_caller() -> None:
    scored = score(await hold(EXERCISE, FrontDesk(), Sampling()), similar=False)
    assert scored.success
    assert not scored.inventions
    assert (scored.arguments_right, scored.arguments) == (2, 2)
    assert scored.hung_up


async def test_claims_without_deeds_are_inventions() -> None:
    held = await hold(
        EXERCISE, Says(Delta("You're booked for Thursday, November 26th at 2:30 PM. Anything else?")), Sampling()
    )
    scored = score(held, similar=False)
    assert not scored.success
    assert any(each.startswith("said without having done it: book_appointment") for each in scored.inventions)


async def test_a_model_that_only_calls_tools_is_stopped() -> None:
    held = await hold(EXERCISE, Says(Call("find_slots", '{"day": "2026-11-26"}')), Sampling())
    assert held.failure == f"{MOST_ROUNDS} tool calls one after the other"
    assert not score(held, similar=False).success


async def test_a_backend_that_fails_fails_its_call_only() -> None:
    held = await hold(EXERCISE, Breaks(), Sampling())
    assert "the model is away" in held.failure


@pytest.mark.parametrize(
    "steps", [(), (Delta("Okay."),), (Delta("Is there anything else?"),), (Call("end_call", "{}"),)]
)
@pytest.mark.parametrize("handwritten", [True, False])
async def test_who_always_does_the_same_succeeds_nowhere(steps: tuple[Step, ...], handwritten: bool) -> None:
    calls = await converse(Run(calls=60, handwritten=handwritten), Says(*steps))
    scored = [score(held, similar=False) for held in calls]
    assert [each.id for each in scored if each.success] == []


async def test_arguments_that_nobody_said_count_as_wrong() -> None:
    wrong = Call("book_appointment", '{"name": "Margaret Okafor", "day": "2026-11-27", "time": "14:30"}')
    end = Call("end_call", "{}")
    scored = score(await hold(EXERCISE, Says(wrong, end), Sampling()), similar=False)
    assert (scored.arguments_right, scored.arguments) == (1, 2)
    assert "an appointment on 2026-11-27 at 14:30 that nobody wanted" in scored.reasons


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("I have 11 AM. Which would you like?", "time"),
        ("A check-up costs 75 dollars.", "price"),
        ("Doctor Miller is free.", "staff"),
        ("That's 2:30 PM for Peter Miller. Is that right?", "name"),
        ("I've moved it.", "said without having done it"),
    ],
)
def test_what_is_made_up_is_found(text: str, kind: str) -> None:
    found = _invented(text)
    assert [each.split(":")[0] for each in found] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "I have 9 AM. Which would you like?",  # of the tool's result
        "A check-up costs 90 dollars.",  # of the prompt
        "Doctor Ward is in.",
        "That's 2:30 PM for Ann Okafor. Is that right?",  # the caller spelled it
        "We're open 8 AM to 5 PM.",
    ],
)
def test_what_is_known_is_not_made_up(text: str) -> None:
    assert _invented(text) == []


def _invented(text: str) -> list[str]:
    call = ToolCall("000000001", "find_slots", "{}")
    messages = [
        Message(1, Role.SYSTEM, EXERCISE.prompt),
        Message(2, Role.USER, "Ann here, that's A N N, then O K A F O R, half past two"),
        Message(3, Role.ASSISTANT, "", tool_calls=(call,)),
        Message(4, Role.TOOL, '{"day": "2026-11-26", "slots": ["09:00"]}', tool_call_id=call.id),
        Message(5, Role.ASSISTANT, text),
    ]
    return inventions(messages, EXERCISE.prompt, date(2026, 11, 24))


def test_a_verdict_depends_on_the_whole_calendar() -> None:
    verifier = CalendarVerifier(EXERCISE.setup, EXERCISE.expect)
    world = World(EXERCISE.setup)
    assert verifier.verify([], world.state()).reward == 0
    world.call("a", "book_appointment", '{"name": "margaret okáfor", "day": "2026-11-26", "time": "14:30"}')
    assert verifier.verify([], world.state()).reward == 1
    world.call("b", "take_message", '{"name": "Margaret Okafor", "text": "hello"}')
    assert verifier.verify([], world.state()).reasons == ("a message that nobody left",)
    assert verifier.verify([], replace(world.state(), transferred="reception")).reward == 0


def test_each_invalid_call_costs_its_share_of_the_reward() -> None:
    calls = (
        ToolCall("a", "find_slots", '{"day": "2026-11-26"}'),
        ToolCall("b", "fly", "{}"),
        ToolCall("c", "find_slots", "{}"),
    )
    messages = [Message(1, Role.ASSISTANT, "", tool_calls=(*calls, ToolCall("d", "end_call", "")))]
    verdict = CallVerifier(EXERCISE.setup).verify(messages, State())
    assert verdict.reward == 0.25
    assert len(verdict.reasons) == 3


@pytest.mark.parametrize("dialogue", dialogues(), ids=lambda each: each.id)
def test_what_a_dialogue_expects_can_be_done(dialogue: Dialogue) -> None:
    exercise = scripted.exercise(dialogue, {})
    world = World(exercise.setup)
    for number, wanted in enumerate(exercise.expect.removes):
        arguments = {"name": wanted.name, "day": wanted.day, "time": wanted.first}
        assert "error" not in json.loads(world.call(f"r{number}", "cancel_appointment", json.dumps(arguments)))
    for number, wanted in enumerate(exercise.expect.adds):
        slots = [f"{at:%H:%M}" for at in exercise.setup.hours.slots(date.fromisoformat(wanted.day))]
        fitting = [slot for slot in slots if wanted.first <= slot <= wanted.last]
        assert fitting
        result = world.call(f"a{number}", "book_appointment", _booking(wanted.name, wanted.day, fitting[0]))
        assert "error" not in json.loads(result)


def _booking(name: str, day: str, at: str) -> str:
    return json.dumps({"name": name, "day": day, "time": at})


def test_every_line_written_by_hand_was_heard_over_the_telephone() -> None:
    said = {line for dialogue in dialogues() for line in lines(dialogue)}
    assert said <= heard_by_hand().keys()


async def test_a_run_is_repeatable_and_its_report_adds_up() -> None:
    run = Run(calls=12, noise=1.0, at_once=3)
    first, second = [await converse(run, FrontDesk()) for _ in range(2)]
    assert [held.messages for held in first] == [held.messages for held in second]
    table, figures = report(run, "scripted", first)
    assert figures["figures"]["task success"]["of"] == len(figures["calls"]) == 12
    assert any(line.startswith("| task success |") for line in table)


def test_the_rules_that_know_what_is_meant_reach_everything() -> None:
    held = by_the_rules(Run(calls=40))
    figures = shares([score(each, similar=False) for each in held])
    assert figures["task success"].value == figures["tool arguments right"].value == 1


def test_intervals_are_wilsons() -> None:
    # Newcombe (1998), table I: 81 of 263, and 0 of 20.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert Share(0, 0).interval == (0.0, 1.0)
