"""Digits, consent, drafts."""

import pytest

from agent.clients.types import Role
from agent.consent import agrees, refuses
from agent.dialogue import Ids
from agent.digits import DigitCollector
from agent.draft import Draft


@pytest.mark.parametrize(
    ("keys", "digits", "complete"),
    [("12#34", "12", True), ("123456", "1234", True), ("12", "12", False), ("#", "", True)],
)
def test_digits_end_by_terminator_or_count(keys: str, digits: str, complete: bool) -> None:
    collector = DigitCollector(4, "#", 5.0, since=0.0)
    for i, key in enumerate(keys):
        collector.press(key, float(i))
    assert collector.digits == digits
    assert collector.complete is complete


def test_digits_end_by_time_since_the_last_key() -> None:
    collector = DigitCollector(4, "#", 5.0, since=10.0)
    collector.press("1", 13.0)
    assert collector.remaining(14.0) == 4.0
    assert collector.remaining(18.0) == 0.0


@pytest.mark.parametrize("text", ["Yes.", "yeah, that's fine", "Okay, go ahead.", "no problem", "I don't mind."])
def test_agrees(text: str) -> None:
    assert agrees(text)


@pytest.mark.parametrize("text", ["No.", "I'd rather not", "what?", "no, that's not okay", ""])
def test_does_not_agree(text: str) -> None:
    assert not agrees(text)


def test_refuses_whatever_the_punctuation() -> None:
    assert refuses("Please, DON'T record this!", ("don't record",))
    assert not refuses("Is this on the record?", ("don't record",))


class Mind:
    """Keeps messages as the worker would."""

    def __init__(self) -> None:
        self.messages: dict[int, str] = {}

    def append(self, message_id: int, role: Role, text: str, tool_call_id: str = "", provisional: bool = False) -> None:
        assert provisional == (role is Role.USER)
        assert text
        assert message_id == max([message_id, *self.messages]), "only the last message grows"
        self.messages[message_id] = self.messages.get(message_id, "") + text

    def retract(self, message_id: int) -> None:
        del self.messages[message_id]


@pytest.mark.parametrize(
    ("partials", "text"),
    [
        ([], "I want a table."),
        (["I want", "I want a"], "I want a table."),
        (["I went"], "I want a table."),
        (["I want a table."], "I want a table."),
        (["I want a table. And"], "I want a table."),
    ],
)
def test_a_draft_ends_as_exactly_the_text(partials: list[str], text: str) -> None:
    mind = Mind()
    draft = Draft(mind, Ids())  # type: ignore[arg-type]
    for partial in partials:
        draft.grow(partial)
    message = draft.settle(text)
    assert mind.messages == {message: text}
    draft.drop()
    assert mind.messages == {message: text}, "a settled message is no draft any more"


def test_notes_stand_before_the_callers_next_words() -> None:
    mind = Mind()
    draft = Draft(mind, Ids())  # type: ignore[arg-type]
    draft.grow("well")
    draft.note("You said: hello?")
    draft.settle("well yes")
    draft.settle("and no")
    assert list(mind.messages.values()) == ["well yes", "You said: hello?", "and no"]


def test_a_dropped_draft_leaves_nothing() -> None:
    mind = Mind()
    draft = Draft(mind, Ids())  # type: ignore[arg-type]
    draft.grow("hm")
    draft.drop()
    draft.drop()
    assert mind.messages == {}
