"""What callers say at each point of a call, as a recogniser on telephone audio writes it, and what must follow.

An expectation is a part of the answer; with "→ name" it is the tool that must be called.
"""

import pytest

from tests.llm_worker.frontdesk.desk import Caller

AT_THE_BEGINNING = {
    "Hello?": "How can I help you?",
    "Um, hello, can you hear me?": "How can I help you?",
    "What time do you close?": "from 8 AM to 5 PM",
    "whats your opening hours": "from 8 AM to 5 PM",
    "Are you open on Saturday?": "We're closed at weekends",
    "What's your address?": "12 Harbour Street",
    "where exactly are you located": "12 Harbour Street",
    "Can you tell me your opening hours and where you are?": "5 PM. We're at 12 Harbour Street",
    "Do you accept payment by credit card?": "I can take a message about that",
    "I have a question about my appointment.": "I can take a message about that",
    "We moved to eleven Orchard Close last month.": "didn't catch that",
    "My new address is nine Chapel Street": "didn't catch that",
    "Please let Doctor Ward know that I am running late.": "your name",
    "Can I have an appointment?": "your name",
    "can you help me please": "didn't catch that",
    "What was that?": "How can I help you?",
    "How do I get there?": "The number 4 bus",
    "How much does a consultation cost?": "60 dollars",
    "how much is a flu shot": "A vaccination is 30 dollars",
    "What are your prices?": "a check-up 90",
    "Which doctors do you have?": "Doctor Helen Ward",
    "Are you a robot?": "automated assistant",
    "Please do not record this call.": "All right.",
    "I don't want to be recorded.": "All right.",
    "I don't have a record of my appointment.": "I can take a message about that",
    "What are your opening hour?": "8 AM to 5 PM",
    "am i talking to a machine": "automated assistant",
    "Are you a real person?": "automated assistant",
    "I want to talk to a human.": "→ transfer_call",
    "operator": "→ transfer_call",
    "put me through to the doctor please": "→ transfer_call",
    "I have chest pains": "dial 911",
    "I'd like to make an appointment": "your name",
    "book appointment": "your name",
    "look, an appoint mint for Tuesday": "your name",
    "I need to see a doctor": "your name",
    "Good morning, I would like to schedule an appointment with Doctor Ward": "your name",
    "do you have anything available on tuesday": "your name",
    "When is your next available appointment?": "your name",
    "Tuesday at ten thirty": "your name",
    "I'd like to know your opening hours and then book an appointment": "5 PM. May I have your name",
    "I can't make it to my appointment tomorrow": "What name is the appointment under?",
    "can sell my appointment": "What name is the appointment under?",
    "I want to reschedule": "What name is the appointment under?",
    "Could somebody call me back?": "pass on",
    "i need a refill": "Shall I?",
    "My name is Anna Miller.": "Hello Anna. How can I help",
    "thank you": "You're welcome",
    "Thank you, bye.": "→ end_call",
    "never mind": "No problem.",
    "hold on a second": "take your time",
    "Thank you. Thank you. Thank you.": "You're welcome",
    "you": "didn't catch that",
    "...": "didn't catch that",
}
TO_THE_SUMMARY = {
    "Yes.": "→ book_appointment",
    "yeah sure": "→ book_appointment",
    "Yep, that's great, thanks.": "→ book_appointment",
    "Uh-huh.": "→ book_appointment",
    "Mm-hmm.": "→ book_appointment",
    "No, that's right.": "→ book_appointment",
    "that's it": "→ book_appointment",
    "Go ahead and book it.": "→ book_appointment",
    "yes please that would be lovely thank you bye": "→ book_appointment",
    "Yes, Thursday at 10:30.": "→ book_appointment",
    "right so I was wondering how long that takes": "Shall I book it?",
    "okay what was the day": "Shall I book it?",
    "my husband said that it would be fine with him on some day": "Shall I book it?",
    "no": "What should I change?",
    "not quite": "What should I change?",
    "That's wrong": "What should I change?",
    "No, it's Muller.": "for Anna Muller",
    "No, my name is Hannah Miller": "for Hannah Miller",
    "it's spelled M U E L L E R": "for Anna Mueller",
    "The name is wrong": "your name",
    "No, Friday.": "Friday, November 27th at 10:30 AM",
    "no i said tuesday": "Tuesday, November 24th at 10:30 AM",
    "Yes, but on Friday": "Friday, November 27th at 10:30 AM",
    "Actually make it eleven.": "Thursday, November 26th at 11 AM",
    "no, at half past eleven": "Thursday, November 26th at 11:30 AM",
    "no not thursday": "Which day would suit you?",
    "Another day please": "Which day would suit you?",
    "Could we make it a bit later?": "→ find_slots",
    "It's about my back pain": "about back pain. Shall I book it?",
    "What was that?": "Shall I book it?",
    "sorry": "Shall I book it?",
    "is that am or pm": "10:30 AM",
    "I don't know": "Shall I book it?",
    "Cancel that.": "No problem.",
    "where is it": "12 Harbour Street",
}
TO_THE_NAME = {
    "anna miller": "Which day",
    "M I L L E R": "Which day",
    "It's Nguyen. N-G-U-Y-E-N.": "Which day",
    "Yes, Tom Becker, on Friday at two": "Friday, November 27th at 2 PM for Tom Becker",
    "Smith, John Smith, and I'd like to come on Tuesday": "→ find_slots",
    "Tuesday": "your name",
    "what do you mean": "your name",
    "no": "your name",
}
TO_THE_DAY = {
    "the twenty fifth at half past two": "Wednesday, November 25th at 2:30 PM",
    "choose day": "→ find_slots",
    "as soon as possible": "→ find_slots",
    "next week": "→ find_slots",
    "I don't know": "→ find_slots",
    "today": "closed on Sundays",
    "the 31st of November": "Which day would suit you?",
}
TO_THE_TIME = {
    "1030": "at 10:30 AM for Anna Miller",
    "To.": "at 2 PM for Anna Miller",
    "The second one.": "at 9 AM for Anna Miller",
    "any": "at 8 AM for Anna Miller",
    "what else do you have": "→ find_slots",
    "in the afternoon": "→ find_slots",
    "actually Wednesday": "→ find_slots",
    "can you repeat that": "I have 8 AM, 9 AM or 10:30 AM",
    "at three in the morning": "between 8 AM and 5 PM",
}
AFTER_A_BOOKING = {
    "No, thank you.": "→ end_call",
    "that's all thanks": "→ end_call",
    "thanks": "→ end_call",
    "yes": "What can I do for you?",
    "Yes, what's your address?": "12 Harbour Street",
    "what time was that again": "Thursday, November 26th at 10:30 AM",
    "Can you cancel it?": "for Anna Miller on Thursday, November 26th at 10:30 AM. Is that right?",
    "another appointment please": "Which day",
}
ONE_SENTENCE = "This is Anna Miller, an appointment on Thursday at 10:30 please"
CASES = [
    *(([], said, expected) for said, expected in AT_THE_BEGINNING.items()),
    *(([ONE_SENTENCE], said, expected) for said, expected in TO_THE_SUMMARY.items()),
    *((["I'd like to book an appointment"], said, expected) for said, expected in TO_THE_NAME.items()),
    *((["I need an appointment", "Anna Miller"], said, expected) for said, expected in TO_THE_DAY.items()),
    *((["I need an appointment", "Anna Miller", "Tuesday"], said, expected) for said, expected in TO_THE_TIME.items()),
    *(([ONE_SENTENCE, "yes"], said, expected) for said, expected in AFTER_A_BOOKING.items()),
]


@pytest.mark.parametrize(("before", "said", "expected"), CASES)
def test_utterance(before, said, expected):
    caller = Caller()
    for line in before:
        caller.says(line)
    called = len(caller.calls)
    answer = caller.says(said)
    names = [name for name, _ in caller.calls[called:]]
    if expected.startswith("→ "):
        assert names == [expected.removeprefix("→ ")], answer
    else:
        assert expected in answer
        assert names == []
