"""Names as a recogniser writes them."""

import pytest

from llm_worker.backends.frontdesk import names

INTRODUCED = {
    "My name is Anna Miller.": "Anna Miller",
    "Hi, this is John Smith, I'd like to book an appointment.": "John Smith",
    "hi this is john smith i'd like to see the doctor": "John Smith",
    "I'm Anna O'Brien and I need an appointment": "Anna O'Brien",
    "my name's priya raman calling about tomorrow": "Priya Raman",
    "It's under the name of Mrs. Catherine Moore.": "Catherine Moore",
    "I'm calling about my appointment.": "",
    "I'm looking for a doctor": "",
    "I'm sorry, what?": "",
    "This is about my knee": "",
    "I am away until the end of January.": "",
    "I'm still waiting": "",
    "I am not sure": "",
    "I'd like to come in on Tuesday": "",
}
ANSWERED = {
    "Anna Miller.": "Anna Miller",
    "anna miller": "Anna Miller",
    "It's Miller. Anna Miller.": "Anna Miller",
    "Uh, yes, it's Tom Becker, please.": "Tom Becker",
    "Jean-Luc Picard": "Jean-Luc Picard",
    "Miller, M-I-L-L-E-R.": "Miller",
    "Anna Mueller. That's M U E L L E R.": "Anna Mueller",
    "Anna Miller, spelled M, U, double L, E, R": "Anna Muller",
    "S as in Sam M I T H": "Smith",
    "Zoë Ågren": "Zoë Ågren",
    "Yes.": "",
    "On Tuesday at ten": "",
    "What are your opening hours?": "",
    "I don't know": "",
    "Sorry?": "",
    "Thank you.": "",
}


@pytest.mark.parametrize(("text", "name"), INTRODUCED.items())
def test_introduced(text, name):
    assert names.find(text, asked=False) == name


@pytest.mark.parametrize(("text", "name"), ANSWERED.items())
def test_answered(text, name):
    assert names.find(text, asked=True) == name


@pytest.mark.parametrize(
    ("known", "said", "result"),
    [
        ("Anna Miller", "Mueller", "Anna Mueller"),
        ("Anna Miller", "Hannah", "Hannah Miller"),
        ("Anna", "Miller", "Anna Miller"),
        ("Anna Miller", "Bob Jones", "Bob Jones"),
        ("Ana Miler", "Annamiller", "Anna Miller"),
        ("", "Anna", "Anna"),
    ],
)
def test_a_correction_replaces_the_part_that_is_like_it(known, said, result):
    assert names.corrected(known, said) == result


def test_not_this_but_that():
    assert names.replaced("No, not Miller, Muller.", "Anna Miller") == "Anna Muller"
    assert names.replaced("No, not Tuesday, Thursday.", "Anna Miller") == ""
