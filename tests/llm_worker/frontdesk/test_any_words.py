"""Whatever is heard, the desk says something, in the time of a breath, and agrees to nothing by accident."""

from hypothesis import given, settings
from hypothesis import strategies as st

from llm_worker.backends.frontdesk import hear, names, when
from tests.llm_worker.frontdesk.desk import NOW, Caller

WORDS = st.sampled_from(
    [
        "tuesday",
        "the",
        "31st",
        "of",
        "february",
        "at",
        "ten",
        "thirty",
        "half",
        "past",
        "not",
        "no",
        "yes",
        "or",
        "anna",
        "m",
        "i",
        "l",
        "l",
        "e",
        "r",
        "to",
        "for",
        "2",
        "pm",
        "1030",
        "12/40",
        "99:99",
        "my",
        "name",
        "is",
        "cancel",
        "move",
        "book",
        "appointment",
        "hours",
        "second",
        "one",
        "noon",
        "next",
        "week",
        "first",
        "later",
        "double",
        ",",
        ".",
        "?",
        "uh",
        "-",
    ]
)
LINES = st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=40)


@given(LINES)
@settings(max_examples=200, deadline=None)
def test_ears_take_anything(line):
    flat = hear.plain(hear.words(line))
    when.find(flat, NOW.date(), time_asked=True)
    when.split_move(flat)
    names.find(line, asked=True)
    hear.digits(flat)


@given(st.lists(LINES, max_size=6))
@settings(max_examples=30, deadline=None)
def test_the_desk_always_answers(lines):
    caller = Caller()
    for line in lines:
        assert caller.says(line)
        if caller.calls and caller.calls[-1][0] in ("end_call", "transfer_call"):
            break
        for name, arguments in caller.calls:
            assert name != "book_appointment" or arguments.keys() >= {"name", "day", "time"}
