"""Generated calls: reproducible, understood by both sides, and such that what the caller wanted can be had."""

import json
import os
import random
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path

import pytest

from llm_worker.forge.ear import Ask, listen
from llm_worker.forge.grammar import load, sentence
from llm_worker.forge.invention import inventions
from llm_worker.forge.planning import plan
from llm_worker.forge.practice import Split, shipped
from llm_worker.forge.records import read
from llm_worker.forge.talk import taught
from llm_worker.forge.turn import understandable
from llm_worker.forge.verifier import CalendarVerifier, CallVerifier
from llm_worker.messages import Role, paired

SLOTS = {
    "day": "Tuesday, December 1st", "slots": "9 AM, 9:30 AM or 10 AM", "when": "Tuesday, December 1st at 9 AM",
    "name": "Wei Sato", "first": "Wei", "digits": "5 5 5, 0 1 4 7", "service": "check-up", "time": "9 AM",
    "practice": "Abbey Vision",
    "choices": "Tuesday, December 1st at 9 AM and Wednesday, December 2nd at 10 AM",
}  # fmt: skip
ASKS = {
    "ask_day": Ask.DAY, "ask_other_day": Ask.DAY, "ask_new_day": Ask.DAY, "ask_time": Ask.TIME, "ask_choice": Ask.TIME,
    "ask_choice_one": Ask.TIME, "ask_name": Ask.NAME, "ask_name_move": Ask.NAME, "ask_name_message": Ask.NAME,
    "ask_full_name": Ask.NAME, "ask_spell": Ask.SPELL, "ask_which": Ask.WHICH, "ask_ambiguous": Ask.WHICH,
    "ask_text": Ask.MESSAGE,
    "ask_same_number": Ask.SAME_NUMBER, "ask_number": Ask.NUMBER, "ask_help": Ask.MORE, "ask_more": Ask.MORE,
    "ask_change": Ask.CHANGE, "confirm_book": Ask.CONFIRM, "confirm_book_service": Ask.CONFIRM,
    "confirm_move": Ask.CONFIRM, "confirm_cancel": Ask.CONFIRM, "confirm_cancel_when": Ask.CONFIRM,
    "confirm_message": Ask.CONFIRM, "confirm_message_number": Ask.CONFIRM, "offer_message": Ask.OFFER_MESSAGE,
    "garbled": Ask.REPEAT,
}  # fmt: skip
OTHERS = {
    "Sure, I can help with that. May I have your full name, please?": Ask.NAME,
    "Who should I put it under?": Ask.NAME,
    "Do you have a particular date in mind?": Ask.DAY,
    "I'm sorry, we're closed on Saturdays. Would another day work?": Ask.DAY,
    "We have 9:00 AM, 9:30 AM and 10:00 AM on Thursday. Which one works for you?": Ask.TIME,
    "Would you prefer morning or afternoon?": Ask.TIME,
    "Does 2:30 PM on Thursday, November 26th work for you?": Ask.TIME,
    "Unfortunately 10 AM is taken. The nearest are 9:30 and 11 AM. Would either of those work?": Ask.TIME,
    "Just to confirm, that's November 26th at 2:30 PM for Margaret Okafor. Is that correct?": Ask.CONFIRM,
    "I have you down for Thursday at 2:30 PM. Should I go ahead and book it?": Ask.CONFIRM,
    "To confirm, you'd like to cancel your appointment on Friday, correct?": Ask.CONFIRM,
    "Can you confirm that?": Ask.CONFIRM,
    "Okay, moving it to Tuesday at 10:30 AM. Does that sound good?": Ask.CONFIRM,
    "You're all set for Thursday. Is there anything else I can help you with?": Ask.MORE,
    "What's the best phone number to reach you?": Ask.NUMBER,
    "What would you like the message to say?": Ask.MESSAGE,
    "I don't have that information. Would you like me to take a message for the staff?": Ask.OFFER_MESSAGE,
    "What's the date and time of your current appointment?": Ask.WHICH,
    "Could you spell your last name for me?": Ask.SPELL,
    "I'm sorry, could you repeat that?": Ask.REPEAT,
}
"""As other models ask."""
TODAY = date(2026, 11, 24)


@pytest.mark.parametrize(("said", "ask"), OTHERS.items())
def test_callers_understand_other_wordings(said: str, ask: Ask) -> None:
    assert listen(said, TODAY).ask is ask


@pytest.mark.parametrize(("act", "ask"), ASKS.items())
def test_callers_understand_every_question_of_the_front_desk(act: str, ask: Ask) -> None:
    draw = random.Random(act)
    for template in load("assistant")[act]:
        for _ in range(12):
            said = sentence(template, draw, SLOTS)
            assert listen(said, TODAY).ask is ask, said


def test_callers_hear_what_is_done_refused_or_over() -> None:
    draw = random.Random(3)
    assert all(listen(said, TODAY).done for said in _said("booked moved cancelled noted", draw))
    assert all(listen(said, TODAY).refused for said in _said("taken full closed past", draw))
    assert all(listen(said, TODAY).goodbye for said in _said("bye bye_booked", draw))


def _said(acts: str, draw: random.Random) -> list[str]:
    return [sentence(template, draw, SLOTS) for act in acts.split() for template in load("assistant")[act]]


def test_names_days_and_times_are_read_in_other_wordings_too() -> None:
    heard = listen("I can confirm December 3 at 14:30 or 9:15 a.m., for Ana-Maria Castillo. Is that correct?", TODAY)
    assert heard.dates == (date(2026, 12, 3),)
    assert [f"{at:%H:%M}" for at in heard.times] == ["14:30", "09:15"]
    assert (heard.names("Ana-Maria Castillo"), heard.names("Peter Pan")) == (True, False)
    assert listen("Which day?", TODAY).names("Peter Pan") is None


@pytest.mark.parametrize(("split", "strength"), [("train", 0.0), ("train", 1.0), ("held", 0.0), ("held", 1.0)])
def test_what_callers_want_can_be_had(split: Split, strength: float) -> None:
    failed, invented, count = [], [], 60
    for number in range(count):
        made, talk = taught(number, split, strength)
        messages = talk.conversation.messages
        verdict = CalendarVerifier(made.setup, made.expect, strength > 0).verify(messages, talk.state)
        failed += [(number, verdict.reasons)] if verdict.reward < 1 else []
        invented += inventions(messages, made.practice.prompt, made.setup.now.date())
        assert CallVerifier(made.setup).verify(messages, talk.state).reward == 1
    # A recogniser's errors can make a caller lose patience; words as they were said cannot.
    assert len(failed) <= (0 if strength == 0 else count // 10), failed
    assert not invented or strength > 0, invented


def test_a_call_is_a_function_of_its_number() -> None:
    first, second = (taught(7, "held", 1.0)[1].conversation.to_json() for _ in range(2))
    assert first == second
    assert first != taught(8, "held", 1.0)[1].conversation.to_json()


def test_nothing_depends_on_how_a_process_hashes() -> None:
    program = (
        "import hashlib; from llm_worker.forge.talk import taught; made = [taught(n, 'held', 1.0) for n in range(30)]; "
        "texts = repr([(plan, talk.conversation.to_json()) for plan, talk in made]); "
        "print(hashlib.sha256(texts.encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_a_conversation_survives_its_line_and_fits_the_chat_format() -> None:
    for number in range(40):
        made = taught(number, "train", 1.0)[1].conversation
        assert read(made.to_json()) == made
        roles = [message.role for message in paired(made.messages)]
        assert roles[0] is Role.SYSTEM
        results = [message.tool_call_id for message in made.messages if message.role is Role.TOOL]
        calls = [call.id for message in made.messages for call in message.tool_calls]
        assert results == calls[: len(results)]
        assert all(isinstance(json.loads(call.arguments), dict) for m in made.messages for call in m.tool_calls)


def test_the_practice_that_ships_has_the_prompt_of_its_agent() -> None:
    shipped_agent = tomllib.loads((Path(__file__).parents[3] / "agents" / "frontdesk.toml").read_text())
    assert shipped().prompt == shipped_agent["prompt"]
    assert list(shipped().tools) == shipped_agent["tools"]
    assert shipped().greeting == shipped_agent["greeting"]


@pytest.mark.parametrize(
    ("act", "said", "heard", "clear"),
    [
        ("say.yes", "Yes.", "Yeah.", True),
        ("say.yes", "Yes.", "Oh,", False),
        ("say.no", "No.", "Know", False),
        ("say.no", "No, sorry.", "No story.", True),
        ("open.book", "I need an appointment.", "I need a appointment", True),
        ("open.book", "I need an appointment.", "the ointment", False),
    ],
)
def test_what_cannot_be_understood_is_not_taken_for_a_wish(act: str, said: str, heard: str, clear: bool) -> None:
    assert understandable(act, said, heard) is clear


def test_plans_leave_room_for_what_is_wished() -> None:
    for number in range(80):
        made = plan(number, "train")
        taken = {(day, at) for _, day, at in made.setup.booked}
        for wish in made.wishes:
            if (goal := wish.goal) and goal.exact and not wish.drop:
                assert (goal.day.isoformat(), f"{goal.first:%H:%M}") not in taken
                assert made.setup.hours.refusal(goal.day, goal.first, made.setup.now) is None
