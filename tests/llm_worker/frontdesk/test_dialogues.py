"""Whole calls in text."""

import json

import pytest

from llm_worker.backends.frontdesk.conversation import respond
from llm_worker.messages import Role, ToolCall
from tests.llm_worker.frontdesk.desk import Caller

BOOKED = {"name": "Anna Miller", "day": "2026-11-26", "time": "10:30"}


def test_a_booking_with_a_correction():
    caller = Caller()
    assert caller.says("Hello, I'd like to book an appointment.") == "Sure. May I have your name, please?"
    assert caller.says("My name is Anna Miller.") == "Thank you. Which day would suit you?"
    assert caller.says("On Tuesday, please.") == (
        "On Tuesday, November 24th I have 8 AM, 9 AM or 10:30 AM. Which would you like?"
    )
    assert caller.says("At ten thirty.") == (
        "That's Tuesday, November 24th at 10:30 AM for Anna Miller. Shall I book it?"
    )
    assert caller.says("No, not Tuesday, Thursday.") == (
        "That's Thursday, November 26th at 10:30 AM for Anna Miller. Shall I book it?"
    )
    assert caller.says("Yes, please.") == (
        "You are booked for Thursday, November 26th at 10:30 AM. Is there anything else I can do for you?"
    )
    assert caller.last_call == ("book_appointment", BOOKED)
    assert caller.says("No, thank you. Goodbye.") == "Thank you for calling Harbour Street Practice. Goodbye."
    assert [name for name, _ in caller.calls] == ["find_slots", "book_appointment", "end_call"]


def test_a_booking_in_one_sentence():
    caller = Caller()
    asked = caller.says("hi this is anna miller i'd like to see the doctor on thursday at half past ten")
    assert asked == "Sure. That's Thursday, November 26th at 10:30 AM for Anna Miller. Shall I book it?"
    caller.says("yeah that's right")
    assert caller.last_call == ("book_appointment", BOOKED)


def test_nothing_is_booked_before_a_yes_to_the_summary():
    caller = Caller()
    caller.says("This is Anna Miller, I need an appointment on Thursday at 10:30")
    for answer in ("What are your opening hours?", "hm", "Yes, but make it eleven.", "No."):
        caller.says(answer)
        assert caller.calls == []
    assert caller.says("the time").startswith("On Thursday, November 26th I have")
    caller.says("ten thirty")
    caller.says("that's correct")
    assert caller.last_call == ("book_appointment", BOOKED)


def test_a_taken_slot_is_answered_with_alternatives():
    caller = Caller({"book_appointment": {"error": "slot_taken", "slots": ["09:00", "11:00"]}})
    caller.says("This is Anna Miller, an appointment on Thursday at 10:30 please")
    assert caller.says("Yes.") == (
        "I'm sorry, Thursday, November 26th at 10:30 AM is already taken. I have 9 AM or 11 AM. Which would you like?"
    )
    assert caller.says("the second one") == (
        "That's Thursday, November 26th at 11 AM for Anna Miller. Shall I book it?"
    )
    assert caller.says("Perfect.").startswith("You are booked for Thursday, November 26th at 11 AM.")
    assert caller.last_call[1]["time"] == "11:00"


def test_a_taken_slot_without_alternatives_asks_the_calendar():
    caller = Caller({"book_appointment": {"error": "slot_taken"}})
    caller.says("This is Anna Miller, an appointment on Thursday at 10:30 please")
    assert caller.says("Yes.").endswith(
        "On Thursday, November 26th I have 8 AM, 9 AM or 10:30 AM. Which would you like?"
    )
    assert caller.last_call == ("find_slots", {"day": "2026-11-26"})


def test_a_move_of_what_was_booked_before():
    caller = Caller()
    caller.says("This is Anna Miller, an appointment on Thursday at 10:30 please")
    caller.says("Yes.")
    assert caller.says("Actually, can you move it to Friday at two?") == (
        "Sure. I'll move the appointment for Anna Miller to Friday, November 27th at 2 PM. Is that right?"
    )
    assert caller.says("Yes.").startswith("Your appointment is moved to Friday, November 27th at 2 PM.")
    moved = {"day": "2026-11-26", "time": "10:30", "new_day": "2026-11-27", "new_time": "14:00"}
    assert caller.last_call == ("move_appointment", {"name": "Anna Miller", **moved})


def test_a_move_with_both_sides():
    caller = Caller(
        {"move_appointment": {"appointment_id": 1, "name": "Tom Becker", "day": "2026-11-26", "time": "11:00"}}
    )
    caller.says("I want to move my appointment from Tuesday at ten to Thursday at eleven.")
    caller.says("Tom Becker")
    caller.says("Correct.")
    moved = {"day": "2026-11-24", "time": "10:00", "new_day": "2026-11-26", "new_time": "11:00"}
    assert caller.last_call == ("move_appointment", {"name": "Tom Becker", **moved})


def test_a_move_that_is_not_found_and_then_ambiguous():
    two = [{"day": "2026-11-24", "time": "10:00"}, {"day": "2026-11-25", "time": "09:00"}]
    caller = Caller({"move_appointment": {"error": "not_found"}})
    caller.says("I need to reschedule my appointment to Thursday at eleven. My name is Tom Baker.")
    assert "can't find an appointment under the name Tom Baker" in caller.says("yes")
    caller.says("It's Becker.")
    caller.results["move_appointment"] = {"error": "ambiguous", "appointments": two}
    asked = caller.says("yes")
    assert asked == (
        "I see more than one appointment. Tuesday, November 24th at 10 AM and Wednesday, November 25th at 9 AM. "
        "Which one do you mean?"
    )
    caller.says("The one on Wednesday.")
    caller.says("yes please")
    assert caller.last_call[1] == {
        "name": "Tom Becker", "day": "2026-11-25", "new_day": "2026-11-26", "new_time": "11:00"
    }  # fmt: skip


def test_a_cancellation():
    gone = {"cancelled": True, "name": "Priya Raman", "day": "2026-12-01", "time": "09:30"}
    caller = Caller({"cancel_appointment": gone})
    assert (
        caller.says("I have to cancel my appointment on December first")
        == "All right. What name is the appointment under?"
    )
    assert caller.says("Priya Raman") == (
        "Thank you. You want to cancel the appointment for Priya Raman on Tuesday, December 1st. Is that right?"
    )
    assert caller.says("Yes").startswith("Your appointment on Tuesday, December 1st at 9:30 AM is cancelled.")
    assert caller.calls == [("cancel_appointment", {"name": "Priya Raman", "day": "2026-12-01"})]


def test_a_message_with_a_number_said_and_keyed():
    caller = Caller()
    caller.says("Could you take a message for Doctor Ward?")
    caller.says("Tom Becker")
    assert "call you back" in caller.says("My insulin runs out on Friday, I need a new prescription.")
    caller.says("No.")
    assert caller.says("five five five, one two three four").startswith("Thank you. I've passed on your message.")
    name, arguments = caller.last_call
    assert (name, arguments["number"]) == ("take_message", "5551234")
    assert arguments["text"] == "My insulin runs out on Friday, I need a new prescription."
    caller = Caller({"collect_digits": {"digits": "5559876"}})
    for line in ("Leave a message please", "Tom Becker", "Call me", "no", "I'd rather type it"):
        caller.says(line)
    assert [name for name, _ in caller.calls] == ["collect_digits", "take_message"]
    assert caller.last_call[1]["number"] == "5559876"


def test_questions_in_the_middle_of_a_booking_come_back_to_it():
    caller = Caller()
    caller.says("I'd like an appointment")
    assert caller.says("Where are you?").endswith("May I have your name, please?")
    caller.says("Anna Miller")
    assert caller.says("Sorry, how much is a check-up?") == "A check-up is 90 dollars. Which day would suit you?"


def test_closed_days_times_outside_hours_and_off_the_grid():
    caller = Caller()
    caller.says("This is Anna Miller, can I have an appointment")
    assert caller.says("Saturday") == "We're closed on Saturdays. Which other day would suit you?"
    assert caller.says("November 20th") == "That day has already passed. Which day would suit you?"
    caller.says("Monday")
    assert caller.says("seven pm") == "Appointments are between 8 AM and 5 PM. What time would suit you?"
    assert caller.says("quarter past nine") == ("Appointments start every 30 minutes. Would 9 AM or 9:30 AM suit you?")
    assert "at 9:30 AM for Anna Miller" in caller.says("half past nine then")


def test_the_first_free_time():
    caller = Caller()
    caller.says("I need an appointment, this is Anna Miller.")
    assert caller.says("As soon as possible, any day.").startswith("On Monday, November 23rd I have")
    assert "at 8 AM for Anna Miller" in caller.says("The earliest.")


def test_a_wish_for_the_afternoon_is_passed_to_the_calendar():
    caller = Caller()
    caller.says("I need an appointment on Monday afternoon, this is Anna Miller.")
    assert caller.last_call == ("find_slots", {"day": "2026-11-23", "after": "12:00"})


def test_what_was_not_heard_is_not_agreed_to():
    caller = Caller()
    asked = caller.says("This is Anna Miller, an appointment on Thursday at 10:30 please")
    caller.cut(len("Sure. That's Thursday, Nov"))
    assert caller.says("Yes.") == asked.removeprefix("Sure. ")
    assert caller.calls == []
    caller.cut(len(asked) - 15)  # only a part of the last question is missing
    caller.says("Yes.")
    assert caller.last_call == ("book_appointment", BOOKED)


def test_an_answer_cut_at_once_is_as_if_nothing_was_asked():
    caller = Caller()
    caller.says("I'd like to book an appointment")
    caller.cut(0)
    assert caller.says("for Thursday at half past ten") == "May I have your name, please?"
    assert "Thursday, November 26th at 10:30 AM for Anna Miller" in caller.says("Anna Miller")


def test_a_stop_before_the_call_went_out_leaves_the_question_open():
    caller = Caller()
    caller.says("This is Anna Miller, an appointment on Thursday at 10:30 please")
    caller.add(Role.USER, "Yes.")
    caller.add(Role.ASSISTANT, "")  # stopped at once
    caller.says("Yes, please.")
    assert caller.calls == [("book_appointment", BOOKED)]


def test_an_answer_that_was_lost_is_given_again_whole():
    """A worker that dies in the middle of an answer leaves its beginning in the history."""
    caller = Caller()
    whole = caller.says("What are your opening hours?")
    caller.cut(len("We're open Mon"))
    assert caller.reply().text == whole
    caller.cut(0)
    caller.add(Role.SYSTEM, 'You said to the caller: "Sorry, one moment."')
    assert caller.reply().text == whole
    assert caller.says("And where are you?").startswith("We're at 12 Harbour Street")
    caller.add(Role.USER, "Goodbye.")
    caller.add(Role.ASSISTANT, "Thank you for")  # the call of end_call was lost with it
    assert [name for name, _ in caller.reply().calls] == ["end_call"]


def test_any_worker_can_go_on_at_any_point():
    """The reply depends on the messages alone; a greeting and phrases of the agent's own do no harm."""
    caller = Caller()
    caller.says("I'd like to book an appointment")
    caller.says("Anna Miller")
    caller.add(Role.ASSISTANT, "Are you still there?")
    caller.says("Thursday at ten thirty")
    replies = [respond(caller.desk, caller.messages[:index]) for index in range(1, len(caller.messages) + 1)]
    again = [respond(caller.desk, caller.messages[:index]) for index in range(1, len(caller.messages) + 1)]
    assert replies == again
    assert caller.says("yes").startswith("You are booked for Thursday, November 26th at 10:30 AM.")


def test_words_said_while_a_tool_works_are_heard_after_its_result():
    caller = Caller()
    caller.says("This is Anna Miller, an appointment on Thursday at 10:30 please")
    caller.add(Role.USER, "Yes.")
    call = ToolCall("c1", "book_appointment", json.dumps(BOOKED))
    caller.add(Role.ASSISTANT, "", tool_calls=(call,))
    caller.add(Role.TOOL, json.dumps({"appointment_id": 3, **BOOKED}), tool_call_id="c1")
    caller.add(Role.USER, "Okay, thanks. ")
    assert caller.reply().text == (
        "You are booked for Thursday, November 26th at 10:30 AM. Is there anything else I can do for you?"
    )


def test_an_interrupted_tool_leaves_the_word_to_the_caller():
    caller = Caller({"find_slots": {"error": "interrupted"}})
    caller.says("I need an appointment, this is Anna Miller.")
    caller.add(Role.USER, "On Tuesday.")
    assert caller.reply().calls
    assert caller.says("Sorry, on Thursday at 10:30.") == (
        "That's Thursday, November 26th at 10:30 AM for Anna Miller. Shall I book it?"
    )
    caller.results["book_appointment"] = {"error": "interrupted", "detail": "the caller spoke before this was done"}
    caller.add(Role.USER, "Yes.")
    assert caller.reply().calls
    assert caller.says("Wait, at eleven.").startswith("That's Thursday, November 26th at 11 AM")
    assert caller.says("Yes.").startswith("You are booked for Thursday, November 26th at 11 AM.")


def test_yes_to_the_agents_own_are_you_still_there_agrees_to_nothing():
    caller = Caller()
    asked = caller.says("This is Anna Miller, an appointment on Thursday at 10:30 please")
    caller.add(Role.SYSTEM, 'You said to the caller: "Are you still there?"')
    assert caller.says("Yes.") == asked.removeprefix("Sure. ")
    caller.says("Yes.")
    assert caller.calls == [("book_appointment", BOOKED)]


def test_what_the_agent_said_by_itself_asks_for_nothing():
    caller = Caller()
    caller.says("I need an appointment")
    caller.add(Role.SYSTEM, 'You said to the caller: "Sorry, I was away in silence for a moment."')
    assert caller.says("Anna Miller") == "Thank you. Which day would suit you?"


def test_silence_is_asked_about_and_then_ended():
    caller = Caller()
    caller.says("I need an appointment")
    said = []
    for _ in range(3):
        caller.add(Role.SYSTEM, "The caller is silent.")
        said.append(caller.answer())
    assert said[0] == said[1] == "Are you still there? May I have your name, please?"
    assert said[2].endswith("Goodbye.")
    assert caller.last_call == ("end_call", {})


def test_three_misses_bring_a_person():
    caller = Caller()
    for line in ("blah blah", "flub"):
        assert caller.says(line).startswith("Sorry, I didn't catch that.")
    assert "colleague" in caller.says("zork")
    assert caller.last_call == ("transfer_call", {"target": "reception"})


def test_a_transfer_that_fails_offers_a_message():
    caller = Caller({"transfer_call": {"error": "no_answer"}})
    assert caller.says("Can I speak to a real person?") == "Of course. I'll put you through to a colleague."
    assert caller.reply().text == "I'm sorry, I can't reach anybody right now. Shall I take a message?"
    assert caller.says("Yes please") == "May I have your name, please?"


@pytest.mark.parametrize(
    ("missing", "line", "answer"),
    [
        ("book_appointment", "I'd like to book an appointment", "I can't book appointments on this line."),
        ("move_appointment", "I want to move my appointment", "I can't move appointments on this line."),
        ("cancel_appointment", "I want to cancel my appointment", "I can't cancel appointments on this line."),
        ("take_message", "Please take a message", "I can't take messages on this line."),
        ("transfer_call", "Let me talk to a person", "nobody can come to the phone right now. Shall I take a message?"),
        ("end_call", "Goodbye", "Goodbye."),
        ("find_slots", "This is Anna Miller, I need an appointment on Thursday", "What time would suit you?"),
    ],
)
def test_tools_that_are_not_there_are_not_called(missing, line, answer):
    caller = Caller(without=missing)
    assert answer in caller.says(line)
    assert caller.calls == []


@pytest.mark.parametrize(
    "result", ["[]", "{", '"x"', '{"error": "timeout"}', '{"error": null, "slots": 5, "day": 7}', "null"]
)
def test_strange_results_do_no_harm(result):
    caller = Caller()
    caller.says("This is Anna Miller, an appointment on Thursday at 10:30 please")
    caller.add(Role.USER, "Yes.")
    caller.add(Role.ASSISTANT, "", tool_calls=(ToolCall("c1", "book_appointment", json.dumps(BOOKED)),))
    caller.add(Role.TOOL, result, tool_call_id="c1")
    assert caller.reply().text


def test_an_error_of_the_calendar_can_be_tried_again():
    caller = Caller({"book_appointment": {"error": "timeout"}})
    caller.says("This is Anna Miller, an appointment on Thursday at 10:30 please")
    assert caller.says("Yes.") == "I'm sorry, that didn't work just now. Shall I try again?"
    assert caller.says("Yes.").startswith("You are booked")
    assert [name for name, _ in caller.calls] == ["book_appointment"] * 2
